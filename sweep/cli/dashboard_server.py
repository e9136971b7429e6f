"""Serve optuna-dashboard on the studies' storage: for `sweep dashboard`, on 127.0.0.1 and read-only by default.

Two layers keep it read-only: the database is opened with `mode=ro`, and requests that would write are refused with a
reason before they reach optuna-dashboard. Two checks keep foreign web pages, open in a browser on this machine, from
using the dashboard: the Host header of a request must be a name of this machine (against DNS rebinding), and a request
that changes something must have the dashboard's own origin (against cross-site request forgery).
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

from sweep.config.study_name import MAX_NAME_LENGTH
from sweep.errors import InputError, Interrupted
from sweep.storage import backend_of, check_is_there
from sweep.system.interruption import Interruption

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST, ALL_INTERFACES = "127.0.0.1", "0.0.0.0"
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
MAX_BYTES = 2**20  # of a request's content; that of a refused request is read too, so that its sender gets the reply
SOCKET_TIMEOUT_S = 20
READING = ("GET", "HEAD")
BAD_REQUEST, FORBIDDEN, TIMEOUT = "400 Bad Request", "403 Forbidden", "408 Request Timeout"
NOT_AN_OBJECT = f"the content must be a JSON object of at most {MAX_BYTES} bytes"
READ_ONLY = (
    "read-only: --write allows the pages to rename and delete studies, set trials to a final state, and edit notes"
)
WRITE = """--write: the pages can create, rename and delete studies, set running trials to a final state, and edit notes
and attributes. A deleted study cannot be restored; a running sweep continues without a trial that is set here."""
PUBLIC = """--public: whoever can reach this port sees every study of this database: names, params, scores, notes,
errors with their tracebacks, and command lines{changes}.
There is no password and no encryption.
Safer, without --public: ssh -L {port}:127.0.0.1:{port} {name}"""
BEST = "--best: shows the {limit:,} best and {limit:,} latest trials of each study, and all that are added from now on"
CHANGES = ", and can change and delete all of it"


@dataclass(frozen=True)
class View:
    """Select what the dashboard shows.

    Attributes:
        study: The only study to show; None for all.
        max_trials: N, to show the N best and the N latest trials of a study; None for all.
    """

    study: str | None = None
    max_trials: int | None = None


EVERYTHING = View()


def serve(url: str, port: int, view: View = EVERYTHING, *, write: bool, public: bool = False) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        url: The database.
        port: The TCP port; 0 uses a free one.
        view: The studies and trials to show.
        write: Allow changes.
        public: Serve on all network interfaces.

    Raises:
        StudyError: There is no database, or no such study in it.
        InputError: The port is in use.
    """
    with suppress(Interrupted), Interruption():
        app = create_app(url, view, write=write, public=public)
        with _listen(ALL_INTERFACES if public else HOST, port, app) as server:
            port, name = server.server_port, gethostname()
            print(f"{backend_of(url).name}: http://{name if public else HOST}:{port}/")
            print(WRITE if write else READ_ONLY)
            if view.max_trials is not None:
                print(BEST.format(limit=view.max_trials))
            if public:
                print(PUBLIC.format(changes=CHANGES if write else "", port=port, name=name))
            print("Press Ctrl-C to stop.", flush=True)
            server.serve_forever()


def create_app(url: str, view: View = EVERYTHING, *, write: bool, public: bool = False) -> "WSGIApplication":
    """Wrap optuna-dashboard so that requests are checked first.

    Args:
        url: The database.
        view: The studies and trials to show.
        write: Allow changes.
        public: Accept requests to all names and addresses of this machine.

    Returns:
        The WSGI application.

    Raises:
        StudyError: There is no such study.
    """
    if view.study is not None:
        check_is_there(url, view.study)
    import optuna_dashboard

    from sweep.storage.dashboard import DashboardStorage
    from sweep.storage.optuna_internals import forget_trials

    storage = DashboardStorage(url, write=write, most=view.max_trials, only=view.study)
    app: Any = optuna_dashboard.wsgi(storage)
    storage.on_replaced = partial(forget_trials, app)

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            refused = _refusal(environ, write=write, public=public)
        except TimeoutError:
            refused = TIMEOUT, f"the rest of the request did not arrive within {SOCKET_TIMEOUT_S} s"
        if refused is not None:
            return _refuse(start_response, *refused)
        response: Iterable[bytes] = app(environ, start_response)
        return response

    return guarded


def _refusal(environ: "WSGIEnvironment", *, write: bool, public: bool) -> tuple[str, str] | None:
    """Return status and reason if a request is refused. Its content is read, and restored for optuna-dashboard."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        return BAD_REQUEST, f"Content-Length must be a number of bytes, got {length!r}"
    content = environ["wsgi.input"].read(min(int(length), MAX_BYTES))
    environ["wsgi.input"] = io.BytesIO(content)
    forbidden = _why_forbidden(environ, write=write, public=public)
    if forbidden is not None:
        return FORBIDDEN, forbidden
    if environ["REQUEST_METHOD"] in READING or (environ["REQUEST_METHOD"] == "DELETE" and not content):
        return None
    if len(content) < int(length):
        return BAD_REQUEST, NOT_AN_OBJECT
    problem = _content_problem(content)
    return None if problem is None else (BAD_REQUEST, problem)


def _why_forbidden(environ: "WSGIEnvironment", *, write: bool, public: bool) -> str | None:
    host = environ.get("HTTP_HOST", "")
    if not _is_ours(host, environ["SERVER_NAME"], public=public):
        names = f"this machine's IP address or {environ['SERVER_NAME']}" if public else "127.0.0.1 or localhost"
        return f"the requested host is not this dashboard's; use {names}"
    if environ["REQUEST_METHOD"] in READING:
        return None
    if not write:
        return "this dashboard is read-only; `sweep dashboard --write` allows changes"
    origin = environ.get("HTTP_ORIGIN")  # browsers send it with every request that may change something
    if origin is not None and origin.partition("://")[2] != host:
        return "changes are accepted only from this dashboard's own pages"
    return None


def _is_ours(host: str, server_name: str, *, public: bool) -> bool:
    """Return whether a Host header is of this machine. An IP address is safe: DNS rebinding needs a name."""
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
    """Return what is wrong with a request's content that optuna-dashboard does not check; None if nothing is."""
    try:
        sent = json.loads(content)
    except (ValueError, RecursionError):
        return NOT_AN_OBJECT
    if not isinstance(sent, dict):
        return NOT_AN_OBJECT
    name = sent.get("study_name", "-")
    is_name = isinstance(name, str) and name.isprintable() and 1 <= len(name) <= MAX_NAME_LENGTH
    return None if is_name else f"a study name must have 1 to {MAX_NAME_LENGTH} printable characters"


def _refuse(start_response: "StartResponse", status: str, reason: str) -> list[bytes]:
    body = json.dumps({"reason": reason}).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # an open connection of a browser does not delay the end

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that disconnects, also in the middle of a request."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _QuietHandler(WSGIRequestHandler):
    timeout = SOCKET_TIMEOUT_S  # or a thread could wait forever for the rest of a request

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: each page sends a request every ten seconds."""


def _listen(host: str, port: int, app: "WSGIApplication") -> _Server:
    try:
        return make_server(host, port, app, server_class=_Server, handler_class=_QuietHandler)
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; --port 0 uses a free one") from None
