"""Check that the Ray processes a driver depends on are running: the head's GCS, and the raylet of its node.

Without them actors continue for a while, then Ray terminates this process from C++. The check raises before that.
"""

import socket
import time
from contextlib import suppress

import ray

from sweep.errors import WorkersLost

CHECK_S = 1.0  # time between two checks
ANSWER_S = 1.0  # time to accept a connection
PATIENCE_S = 30.0  # a cluster may restart its head; Ray terminates a driver after 60 s
LOCAL_PATIENCE_S = 3.0  # a Ray that was started for the sweep is not restarted
Address = tuple[str, int]


class RayWatch:
    """Check Ray's processes by connecting to their addresses, without calls to Ray, which could block.

    Create it while connected to Ray.

    Args:
        patience_s: Time without an answer, in seconds, after which a process is considered lost.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s, self._checked = patience_s, time.monotonic()
        self._addresses = {} if ray.util.client.ray.is_connected() else _addresses()
        self._answered = dict.fromkeys(self._addresses, self._checked)

    def check(self) -> None:
        """Raise WorkersLost if one of the processes has not accepted a connection for too long."""
        now = time.monotonic()
        if now - self._checked < CHECK_S:
            return
        self._checked = now
        for name, address in self._addresses.items():
            if _accepts(address):
                self._answered[name] = now
            elif now - self._answered[name] > self._patience_s:
                raise WorkersLost(
                    f"Ray's {name} is gone; start Ray again if you started it, then run the same command to resume"
                )


def _addresses() -> dict[str, Address]:
    """Return the addresses of the head and of this node's raylet, by a description for the user."""
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
