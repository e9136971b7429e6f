"""`sweep dashboard`: optuna-dashboard on our storage, for this machine alone, read-only unless asked otherwise.

Read-only holds twice: the database is opened with `mode=ro`, and what would write is answered before it gets there, in
words. Served is on 127.0.0.1, or with --public on all interfaces. Web pages of others, which a browser here may have
open, get nothing: a request must name this machine (else a foreign name was pointed at it), and one that changes
something must come from our own pages.
"""

import io
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from socket import gethostname
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sweep.config.study_name import MOST_NAME
from sweep.errors import InputError, Interrupted
from sweep.storage import backend_of, check_is_there
from sweep.system.interruption import Interruption

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 2**20  # of a request; of a refused one so many are read, so that its sender gets the answer
SOCKET_TIMEOUT_S = 20
READING = ("GET", "HEAD")
BAD_REQUEST, FORBIDDEN, TIMEOUT = "400 Bad Request", "403 Forbidden", "408 Request Timeout"
NO_OBJECT = f"the content must be a JSON object of at most {MOST_BYTES} bytes"
READ_ONLY = "read-only: the pages change nothing; --write lets them tell, rename and delete, and edit notes"
WRITE = """--write: the pages can create, rename and delete studies, tell running trials, and edit notes and attributes.
Nothing asks twice, a deleted study is gone; a sweep that runs goes on without a trial that is told here."""
PUBLIC = """--public: whoever can reach this port sees every study of this database: names, params, scores, notes,
errors with their tracebacks, and command lines{changes}.
No password is asked, nothing is encrypted.
Safer, without --public: ssh -L {port}:127.0.0.1:{port} {name}"""
BEST = "--best: of each study its best {most:,} trials and its latest {most:,}, as of now, and those that follow"
CHANGES = ", and can change and delete all of it"


@dataclass(frozen=True)
class Shown:
    """What of the database: one study alone, and of a study the best N trials and the latest N; None is all."""

    study: str | None = None
    most: int | None = None


EVERYTHING = Shown()


def serve(url: str, port: int, shown: Shown = EVERYTHING, *, write: bool, public: bool = False) -> None:
    """Serve until SIGINT or SIGTERM. StudyError without a database, InputError if the port is taken."""
    with suppress(Interrupted), Interruption():
        app = create_app(url, shown, write=write, public=public)
        with _listen(EVERYWHERE if public else HOST, port, app) as server:
            port, name = server.server_port, gethostname()
            print(f"{backend_of(url).name}: http://{name if public else HOST}:{port}/")
            print(WRITE if write else READ_ONLY)
            if shown.most is not None:
                print(BEST.format(most=shown.most))
            if public:
                print(PUBLIC.format(changes=CHANGES if write else "", port=port, name=name))
            print("Ctrl-C ends it", flush=True)
            server.serve_forever()


def create_app(url: str, shown: Shown = EVERYTHING, *, write: bool, public: bool = False) -> "WSGIApplication":
    """optuna-dashboard with our guard in front."""
    if shown.study is not None:
        check_is_there(url, shown.study)
    import optuna_dashboard

    from sweep.storage.dashboard import DashboardStorage
    from sweep.storage.optuna_internals import forget_trials

    storage = DashboardStorage(url, write=write, most=shown.most, only=shown.study)
    app: Any = optuna_dashboard.wsgi(storage)
    storage.on_replaced = partial(forget_trials, app)

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            refused = _refusal(environ, write=write, public=public)
        except TimeoutError:
            refused = TIMEOUT, f"the rest of the request did not come within {SOCKET_TIMEOUT_S} s"
        if refused is not None:
            return _refuse(start_response, *refused)
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    return guarded


def _refusal(environ: "WSGIEnvironment", *, write: bool, public: bool) -> tuple[str, str] | None:
    """Status and reason if a request is not let through. What was sent with it is read."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        return BAD_REQUEST, f"Content-Length must be a number of bytes, got {length!r}"
    content = environ["wsgi.input"].read(min(int(length), MOST_BYTES))
    environ["wsgi.input"] = io.BytesIO(content)
    forbidden = _why_forbidden(environ, write=write, public=public)
    if forbidden is not None:
        return FORBIDDEN, forbidden
    if environ["REQUEST_METHOD"] in READING or (environ["REQUEST_METHOD"] == "DELETE" and not content):
        return None
    if len(content) < int(length):
        return BAD_REQUEST, NO_OBJECT
    problem = _content_problem(content)
    return None if problem is None else (BAD_REQUEST, problem)


def _why_forbidden(environ: "WSGIEnvironment", *, write: bool, public: bool) -> str | None:
    host = environ.get("HTTP_HOST", "")
    if not _is_ours(host, environ["SERVER_NAME"], public=public):
        names = f"this machine's IP address or the name {environ['SERVER_NAME']}" if public else "127.0.0.1, localhost"
        return f"asked for under a name that is not this dashboard's; use {names}"
    if environ["REQUEST_METHOD"] in READING:
        return None
    if not write:
        return "this dashboard is read-only; `sweep dashboard --write` allows changes"
    origin = environ.get("HTTP_ORIGIN")  # browsers send it with every request that may change something
    if origin is not None and origin.partition("://")[2] != host:
        return "changes are taken from this dashboard's own pages alone"
    return None


def _is_ours(host: str, server_name: str, *, public: bool) -> bool:
    """Whether a Host header names this machine. Only an owner of a name can point it here, nobody an IP address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name in LOCAL_NAMES or (
            public and (name in (server_name.lower(), gethostname().lower()) or _is_ip(name))
        )
    except ValueError:
        return False


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _content_problem(content: bytes) -> str | None:
    """What optuna-dashboard takes for granted: an object, and a name that a database and a terminal take."""
    try:
        sent = json.loads(content)
    except (ValueError, RecursionError):
        return NO_OBJECT
    if not isinstance(sent, dict):
        return NO_OBJECT
    name = sent.get("study_name", "-")
    is_name = isinstance(name, str) and name.isprintable() and 1 <= len(name) <= MOST_NAME
    return None if is_name else f"the name of a study has 1 to {MOST_NAME} printable characters"


def _refuse(start_response: "StartResponse", status: str, reason: str) -> list[bytes]:
    body = json.dumps({"reason": reason}).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a browser's open connection does not hold up the end

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away, or stops in the middle of a request, is no news."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _QuietHandler(WSGIRequestHandler):
    timeout = SOCKET_TIMEOUT_S  # a thread does not wait for ever for the rest of a request

    def log_message(self, format: str, *args: Any) -> None:
        """A page asks every ten seconds; nobody reads that."""


def _listen(host: str, port: int, app: "WSGIApplication") -> _Server:
    try:
        return make_server(host, port, app, server_class=_Server, handler_class=_QuietHandler)
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; --port 0 takes a free one") from None
