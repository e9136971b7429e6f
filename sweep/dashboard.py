"""`sweep dashboard`: optuna-dashboard on our storage, for this machine alone, read-only unless asked otherwise.

Read-only holds twice: the database is opened with `mode=ro`, and what would write is answered before it gets there, in
words. Nothing is served but on 127.0.0.1.
"""

import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sweep.errors import InputError, Interrupted
from sweep.interruption import Interruption
from sweep.storage import LiveStorage
from sweep.storage.database import database_path

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
MOST_BYTES = 2**20  # of a refused request that are read, so that its sender gets the answer
READ_ONLY = "read-only: the pages change nothing; --write lets them tell, rename and delete, and edit notes"
WRITE = """--write: the pages can create, rename and delete studies, tell running trials, and edit notes and attributes.
Nothing asks twice, a deleted study is gone; a sweep that runs goes on without a trial that is told here."""


def serve(url: str, port: int, *, write: bool) -> None:
    """Serve until SIGINT or SIGTERM. StudyError without a database, InputError if the port is taken."""
    with suppress(Interrupted), Interruption():
        app = create_app(url, write=write)
        with _listen(port, app) as server:
            print(f"{database_path(url)}: http://{HOST}:{server.server_port}/")
            print(WRITE if write else READ_ONLY)
            print("Ctrl-C ends it", flush=True)
            server.serve_forever()


def create_app(url: str, *, write: bool) -> "WSGIApplication":
    """optuna-dashboard with our guard in front."""
    storage = LiveStorage(url, write=write)
    import optuna_dashboard

    app: Any = optuna_dashboard.wsgi(storage)
    storage.on_replaced = app._inmemory_cache.clear

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refusal = _refusal(environ, write=write)
        answer: Iterable[bytes] = (
            app(environ, start_response) if refusal is None else _refuse(environ, start_response, refusal)
        )
        return answer

    return guarded


def _refusal(environ: "WSGIEnvironment", *, write: bool) -> str | None:
    """Why a request is not let through. A foreign host name may be a web page that was pointed at this machine."""
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return None
    if not write:
        return "this dashboard is read-only; `sweep dashboard --write` allows changes"
    if environ.get("HTTP_HOST", "").rsplit(":", 1)[0] not in LOCAL_NAMES:
        return "changes are taken under the names 127.0.0.1 and localhost alone"
    return None


def _refuse(environ: "WSGIEnvironment", start_response: "StartResponse", reason: str) -> list[bytes]:
    environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), MOST_BYTES))
    body = json.dumps({"reason": reason}).encode()
    start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a browser's open connection does not hold up the end

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A page asks every ten seconds; nobody reads that."""


def _listen(port: int, app: "WSGIApplication") -> _Server:
    try:
        return make_server(HOST, port, app, server_class=_Server, handler_class=_QuietHandler)
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; --port 0 takes a free one") from None
