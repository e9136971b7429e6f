"""Check that the Ray processes a driver depends on are running: the head's GCS, and the raylet of its node.

Actors train on without them for a while, then Ray ends this process itself, from C++: we notice before.
"""

import socket
import time
from contextlib import suppress

import ray

from sweep.errors import WorkersLost

LOOK_S = 1.0  # between looks
ANSWER_S = 1.0  # to accept a connection
PATIENCE_S = 30.0  # a cluster may restart its head; Ray itself ends a driver after 60
PATIENCE_AT_HOME_S = 3.0  # nobody restarts a Ray that was started for the sweep
Address = tuple[str, int]


class RayWatch:
    """Made while connected; knows addresses alone, so that no look waits for a Ray that is gone."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s, self._looked = patience_s, time.monotonic()
        self._addresses = {} if ray.util.client.ray.is_connected() else _addresses()
        self._answered = dict.fromkeys(self._addresses, self._looked)

    def check(self) -> None:
        """Raise WorkersLost if one of the processes has not accepted a connection for too long."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for name, address in self._addresses.items():
            if _accepts(address):
                self._answered[name] = now
            elif now - self._answered[name] > self._patience_s:
                raise WorkersLost(
                    f"Ray's {name} is gone; start Ray again if you started it, then run the same command to resume"
                )


def _addresses() -> dict[str, Address]:
    """Of the head, and of the raylet of the node that this process is a driver on."""
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    found = {f"head at {context.gcs_address}": (host.strip("[]"), int(port))}
    for node in ray.nodes():
        if node["NodeID"] == context.get_node_id():
            raylet = (node["NodeManagerAddress"], int(node["NodeManagerPort"]))
            found["raylet on {}:{}".format(*raylet)] = raylet
    return found


def _accepts(address: Address) -> bool:
    with suppress(OSError), socket.create_connection(address, ANSWER_S):
        return True
    return False
