"""The arrows of the architecture: which room of the package may import which, read from the source."""

from __future__ import annotations

import ast
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import engineio_green

ROOT = Path(engineio_green.__file__).parent
VOCABULARY = {f"engineio_green.{name}" for name in ("packet", "payload", "json", "exceptions")}
SYNC_SHELLS = ("server", "serving", "registry", "application", "link", "outbound", "clock", "draining", "wsgi")
CLIENT_SHELLS = ("client", "link", "outbound", "http", "websocket", "watch", "interrupt", "terminal", "command")
SOCKETIO_SHELLS = ("socketio.admin", "socketio.async_client", "socketio.attributes", "socketio.client")
SHELLS = {
    f"engineio_green.{name}"
    for name in (*SYNC_SHELLS, *SOCKETIO_SHELLS, "client", *(f"client.{part}" for part in CLIENT_SHELLS))
}
# Modules of the standard library that compute and do nothing else.
PURE = {
    *("__future__", "abc", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime"),
    *("enum", "fractions", "functools", "gzip", "hashlib", "heapq", "hmac", "html", "inspect", "ipaddress", "itertools"),
    *("json", "keyword", "math", "numbers", "operator", "re", "string", "struct", "textwrap", "types", "typing", "unicodedata"),
    *("weakref", "zlib", "email.utils", "http", "urllib.parse"),
}
LONGEST_FILE = 450


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _in_room(room: str) -> list[str]:
    return [name for name in MODULES if name == f"engineio_green.{room}" or name.startswith(f"engineio_green.{room}.")]


def _imports(name: str) -> Iterator[tuple[str, int]]:
    """Yield what the module *name* imports, anywhere in it, and the line; ``from package import module`` as the module."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (whole if whole in MODULES else base), node.lineno


def _own(name: str) -> list[tuple[str, int]]:
    return [(imported, line) for imported, line in _imports(name) if imported.partition(".")[0] == "engineio_green"]


def test_the_walk_sees_the_package():
    assert {"engineio_green.core.session", "engineio_green.websocket.stream", "engineio_green.server"} <= set(MODULES)
    assert ("engineio_green.core.settings", "engineio_green.packet") in {
        (name, imported) for name in MODULES for imported, _ in _own(name)
    }


@pytest.mark.parametrize("name", _in_room("core"))
def test_the_core_imports_the_vocabulary_itself_and_pure_modules(name):
    for imported, line in _imports(name):
        if imported.partition(".")[0] == "engineio_green":
            assert imported in VOCABULARY or imported.startswith("engineio_green.core"), f"{name}:{line} imports {imported}"
        else:
            assert imported in PURE or imported.partition(".")[0] in PURE, f"{name}:{line} imports {imported}"


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_the_vocabulary_imports_itself_and_pure_modules(name):
    for imported, line in _imports(name):
        assert imported in VOCABULARY | PURE or imported.partition(".")[0] in PURE, f"{name}:{line} imports {imported}"


@pytest.mark.parametrize("name", _in_room("core") + sorted(VOCABULARY))
def test_the_core_touches_no_file_and_no_terminal(name):
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input", "exec", "eval", "__import__"), f"{name}:{node.lineno}"


@pytest.mark.parametrize("name", _in_room("websocket") + _in_room("drivers"))
def test_websockets_and_drivers_know_nothing_of_sessions_and_packets(name):
    allowed = ("engineio_green.websocket", "engineio_green.drivers", "engineio_green.exceptions")
    for imported, line in _own(name):
        assert imported.startswith(allowed), f"{name}:{line} imports {imported}"


@pytest.mark.parametrize("name", sorted(set(MODULES) - SHELLS - set(_in_room("aio"))))
def test_nobody_imports_a_shell_but_the_shells_and_the_package_itself(name):
    if name == "engineio_green":
        return
    for imported, line in _own(name):
        assert imported not in SHELLS, f"{name}:{line} imports {imported}"


@pytest.mark.parametrize("name", [name for room in ("core", "websocket", "drivers") for name in _in_room(room)])
def test_the_rooms_below_do_not_go_through_the_package_itself(name):
    assert "engineio_green" not in {imported for imported, _ in _own(name)}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_file_is_too_long_to_read(name):
    assert len(MODULES[name].read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_says_what_it_is(name):
    assert ast.get_docstring(ast.parse(MODULES[name].read_text()))


@pytest.mark.parametrize("use", [lambda: time.sleep(0), lambda: socket.socket(), lambda: threading.Thread(target=int).start()])
def test_these_tests_can_not_wait_or_connect(use):
    with pytest.raises(AssertionError, match="the core must not use"):
        use()


def test_the_package_can_not_read_a_clock_here():
    namespace = {"__name__": "engineio_green.core.session", "time": time}
    with pytest.raises(AssertionError, match="it is told the time"):
        exec("time.monotonic()", namespace)
