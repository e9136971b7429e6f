"""A user's own function or builder, `module:function`: found, imported, and known by its folder and a digest.

Nothing here runs but `import_code`; the digest reads source files and does not import them. What a module loads other
than by import statements (a data file, a plug-in) is not in its digest.
"""

import ast
import hashlib
import os
import sys
import sysconfig
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module, invalidate_caches
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from sweep.errors import SpaceError, SweepError, ends_process, message_of

BUILDER = "model.builder"  # the config key that names a user's own
IN_A_FILE = "move it to a .py file: workers and other commands do not see what a notebook or script defines"
USER_THREAD = "sweep-user-code"  # how the names of threads begin that run a user's code
NUM_DIGITS = 16


@dataclass(frozen=True)
class UserCode:
    """What code it was: stored with a study and in exported configs."""

    name: str  # module:function, or several of them
    place: str  # the folder that its module is imported from, or several; "" if it is not found on this machine
    digest: str  # of the module and the modules of that folder that it imports; "" if unknown

    def __str__(self) -> str:
        """`models:build (/home/me/models)`."""
        return f"{self.name} ({self.place})" if self.place else self.name

    def values(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)

    def change_since(self, recorded: "UserCode | None") -> str | None:
        """How this differs from the code that was recorded; None if it does not, or if that is unknown."""
        if recorded is None or not recorded.digest or not self.digest or recorded.digest == self.digest:
            return None
        where = f"in {self.place}" if self.place == recorded.place else f"in {recorded.place}, now in {self.place}"
        return f"the code of {self.name} has changed ({where}): it was {recorded.digest}, it is {self.digest}"


def recorded_code(values: Mapping[str, Any] | None) -> UserCode | None:
    """From plain values; None if there are none, as in a study from before code was recorded."""
    try:
        return UserCode(**values) if values else None
    except TypeError:  # another program's
        return None


def prepend_to_path(*folders: Path) -> None:
    """Have modules of these folders found first, the last one before the others.

    For folders of the user's own, where a file of the user's names code: of any other folder, a `pandas.py` beside the
    file would be run for pandas.
    """
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def append_to_path(*folders: str | Path) -> None:
    """Have modules of these folders found if they are found nowhere else."""
    sys.path += [str(folder) for folder in folders if str(folder) and str(folder) not in sys.path]


def make_importable(code: UserCode | None, *folders: Path) -> None:
    """Have recorded code found: in folders of the user's own, else where it was when it was recorded."""
    prepend_to_path(*folders)
    if code is not None:
        append_to_path(*code.place.split(os.pathsep))


def code_of(*names: str) -> UserCode:
    """What is found under the names now, as one: its digest is known if that of each is. Runs nothing."""
    found = [_code_of(name) for name in names]
    if len(found) == 1:
        return found[0]
    places = dict.fromkeys(code.place for code in found if code.place)
    whole = hashlib.sha256("".join(code.digest for code in found).encode())
    is_known = bool(found) and all(code.digest for code in found)
    return UserCode(", ".join(names), os.pathsep.join(places), whole.hexdigest()[:NUM_DIGITS] if is_known else "")


def _code_of(name: str) -> UserCode:
    module = name.split(":")[0]
    place = _place_of(module.split(".")[0])
    return UserCode(name, str(place or ""), _digest(module, place) if place else "")


def import_code(name: str, key: str) -> Callable[..., Any]:
    """`import_object` of a function; SpaceError if it is none."""
    found = import_object(name, key)
    if not callable(found):
        raise SpaceError(f"{key}: {name} is a {type(found).__name__}; pass a function")
    return found  # type: ignore[no-any-return]


def import_object(name: str, key: str) -> Any:
    """Import `module:attribute`, which runs the module.

    Raises:
        SpaceError: It cannot be imported. The message begins with `key`, which names it.
    """
    module_name, function_name = name.split(":")
    try:
        with no_silent_exit():
            return getattr(import_module(module_name), function_name)
    except BaseException as error:  # a module of the user's own may raise anything
        if ends_process(error):
            raise
        reason = f"{type(error).__name__}: {' '.join(message_of(error).split())}"
        fix = IN_A_FILE if module_name == "__main__" else "correct it, run from its folder or set PYTHONPATH"
        raise SpaceError(f"{key}: {name} cannot be imported: {reason}; {fix}") from None


@contextmanager
def contained(*names: str) -> Iterator[None]:
    """While the body runs, this code of the user's ends no command without a word. Does nothing without a name.

    Raises:
        SweepError: It raised what is no Exception, such as SystemExit, where no trial could be failed for it.
    """
    if not names:
        yield
        return
    try:
        with no_silent_exit():
            yield
    except Exception:
        raise
    except BaseException as error:
        if ends_process(error):
            raise
        raise SweepError(
            f"{', '.join(names)} ended with {type(error).__name__}: {message_of(error)}; remove what raises it"
        ) from error


@contextmanager
def no_silent_exit() -> Iterator[None]:
    """While the body runs, `os._exit` raises SystemExit, which fails a trial.

    It would end the process at once, with an exit code that the user's code chose, be it 0. Processes that the code
    forks end as ever.
    """
    leave, process = os._exit, os.getpid()

    def refuse(status: int) -> None:
        if os.getpid() != process or not _runs_user_code(threading.current_thread()):
            leave(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = leave


def _runs_user_code(thread: threading.Thread) -> bool:
    return thread is threading.main_thread() or thread.name.startswith(USER_THREAD)


def _place_of(top: str) -> Path | None:
    """The folder that holds this module or package."""
    invalidate_caches()
    try:
        spec = find_spec(top)  # of a name without dots: imports nothing
    except (ImportError, ValueError, AttributeError):  # ValueError: `__main__`
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve().parent
    return Path(spec.origin).resolve().parent if spec.has_location and spec.origin else None


def _digest(module: str, place: Path) -> str:
    """Over the source of the module, its packages, and what they import of the same folder; "" if there is none."""
    whole, sources = hashlib.sha256(), _sources(module, place)
    for name, content in sorted(sources.items()):
        whole.update(f"{name} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:NUM_DIGITS] if module in sources else ""


def _sources(module: str, place: Path) -> dict[str, bytes]:
    """By module. Of a folder that packages are installed in, only the user's own package counts."""
    top = module.split(".")[0]
    installed = {Path(path) for path in sysconfig.get_paths().values()}
    is_alone = place in installed or place.name in ("site-packages", "dist-packages")
    found: dict[str, bytes] = {}
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        first, package = name.split(".")[0], name.rpartition(".")[0]
        if name in seen or first == "sweep" or (is_alone and first != top):
            continue
        seen.add(name)
        waiting += [package] if package else []
        file = _file_of(name, place)
        if file is not None:
            found[name] = file.read_bytes()
            waiting += _imported(found[name], name if file.stem == "__init__" else package)
    return found


def _file_of(module: str, place: Path) -> Path | None:
    path = place.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None)


def _imported(source: bytes, package: str) -> list[str]:
    """What import statements name, in functions too; a name that is imported from a module may be a module itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python says them when it imports the module
        try:
            nodes = [*ast.walk(ast.parse(source))]
        except (SyntaxError, ValueError):
            return []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level <= len(package.split(".") if package else ()):
            base = resolve_name("." * node.level + (node.module or ""), package or None)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names
