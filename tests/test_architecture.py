"""The rules of ARCHITECTURE.md that a machine can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "reconciler"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__main__.py" and path.parent != PACKAGE / "sandbox" and path != PACKAGE / "__init__.py"
}
# Imports point one way: to the left of a module, or into its own room.
LAYERS = (
    ("errors",),
    ("model",),
    ("kinds", "diff", "ownership"),
    ("states",),
    ("plan",),
    ("drift", "affected", "status"),
    ("git", "remote"),
    ("answers", "deadline", "gate", "api"),
    ("manifest", "observe", "settle", "apply", "health", "probe", "builds", "lookup"),
    ("doctor",),
    ("render",),
    ("export",),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
LIBRARIES = {
    "yaml": "manifest.parse",
    "jsonschema": "manifest.schema",
    "httpcore": "deadline",
    "jsonschema_rs": "manifest.schema",
    "httpx": "api",
    "deepdiff": "diff",
    "click": "cli",
    "jinja2": "render.html",
    "markupsafe": "render.html",
}
PURE = ("affected", "drift", "status", "model", "kinds", "diff", "ownership", "states", "plan", "remote", "render")
IMPURE = {"os", "io", "time", "datetime", "random", "socket", "subprocess", "pathlib", "sys", "threading", "secrets"}


def _room(module: str) -> str:
    return module.partition(".")[0]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    for name in _imports(MODULES[module]):
        if not name.startswith("reconciler.") or name == "reconciler.__version__":
            continue
        target = _room(name.removeprefix("reconciler."))
        if target == "sandbox":
            assert _room(module) == "cli", f"{module} imports the sandbox"
        else:
            assert target == _room(module) or RANK[target] <= RANK[_room(module)], f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_one_library_has_one_place(module: str) -> None:
    for name in _imports(MODULES[module]):
        place = LIBRARIES.get(_room(name))
        assert place is None or module == place or module.startswith(f"{place}."), f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name) in PURE])
def test_deciding_and_rendering_touch_nothing(module: str) -> None:
    assert [name for name in _imports(MODULES[module]) if _room(name) in IMPURE] == []
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls & {"open", "print", "input", "exec", "eval"} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name) != "cli"])
def test_only_the_command_line_prints_or_exits(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Name) and node.id in ("print", "input", "exit"))
        assert not (isinstance(node, ast.Attribute) and node.attr in ("exit", "stdout", "stderr") and _is_sys(node))


def _is_sys(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "sys"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert text.count("\n") <= 430
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 60, node.name
    assert path.stem not in {"utils", "helpers", "common", "base", "manager", "core"}
