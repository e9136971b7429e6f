"""Counts the floor plan of the package: rooms, floors, import arrows, and where options are seen.

    python benchmarks/house.py            # of this checkout
    python benchmarks/house.py ../older   # of another one

A room is a package of `sweep/`; the modules in its root and the packages below all others are one room, the ground
floor. An arrow says that a room imports another one. A floor is a place in the order that all arrows point down
through; an arrow within a cycle of rooms cannot. The counts with each part of the ground floor as a room of its own are
printed too.
"""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Arrow = tuple[str, str]
GROUND = "the ground floor"
GROUND_PACKAGES = ("plugins", "system")


def main() -> None:
    """Print the counts."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]) / "sweep"
    modules = [path for path in sorted(root.rglob("*.py")) if "search_spaces" not in path.parts]
    flat = [path for path in modules if path.parent == root]
    rooms = {room_of(path, root) for path in modules} - {"__init__"}
    arrows = {arrow for path in modules for arrow in arrows_of(path, root) if arrow[1] in rooms}
    seen = [path for path in modules if sees_options(path)]
    print(f"modules: {len(modules)}, in the root {len(flat)}")
    grouped = {(ground(one, root), ground(other, root)) for one, other in arrows}
    print_floors(
        "rooms", {ground(room, root) for room in rooms}, {(one, other) for one, other in grouped if one != other}
    )
    print_floors("with each part of the ground floor apart, rooms", rooms, arrows)
    print(f"modules that see the options of a command: {len(seen)}")
    print("  " + ", ".join(str(path.relative_to(root)) for path in seen))


def room_of(path: Path, root: Path) -> str:
    """The package in the root that holds the module, or the module itself."""
    return path.relative_to(root).parts[0].removesuffix(".py")


def ground(room: str, root: Path) -> str:
    """The room itself, or the ground floor where it is a part of that."""
    return GROUND if room in GROUND_PACKAGES or (root / f"{room}.py").is_file() else room


def print_floors(title: str, rooms: set[str], arrows: set[Arrow]) -> None:
    """A line with the numbers of rooms, arrows and floors."""
    print(f"{title}: {len(rooms)}; arrows between rooms: {len(arrows)}; floors: {num_floors(rooms, arrows)}")


def arrows_of(path: Path, root: Path) -> Iterator[Arrow]:
    """From the module's room to those that it imports, inside functions too; `sweep/__init__.py` is the facade."""
    room = room_of(path, root)
    for name in imported(path) if room != "__init__" else ():
        other = name.removeprefix("sweep.").split(".")[0]
        if name.startswith("sweep.") and other != room:
            yield room, other


def imported(path: Path) -> Iterator[str]:
    """Dotted names; of `from sweep import name` the name below `sweep`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "sweep":
            yield from (f"sweep.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def num_floors(rooms: set[str], arrows: set[Arrow]) -> str:
    """The longest chain of arrows, counted in rooms; or the rooms of a cycle."""
    below = {room: {other for one, other in arrows if one == room} for room in rooms}
    try:
        order = [*TopologicalSorter(below).static_order()]
    except CycleError as error:
        return f"none, as arrows form a cycle ({' -> '.join(error.args[1])})"
    floors: dict[str, int] = {}
    for room in order:
        floors[room] = 1 + max((floors[other] for other in below[room]), default=0)
    return f"{max(floors.values())}, no arrow points up"


def sees_options(path: Path) -> bool:
    """Whether it names the parsed command line or a record of options."""
    names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    return "Namespace" in names or any(name.endswith("Options") for name in names)


if __name__ == "__main__":
    main()
