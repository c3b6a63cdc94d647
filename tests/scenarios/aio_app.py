"""The application under test for asyncio: `app.py` itself, in which the calls that wait are awaited.

Owns the translation, so that there is one application and not two that drift apart: a call of a coroutine method of the
server gets an `await`, a function with an `await` becomes a coroutine function, and so do its callers. What waits for nothing
stays a plain function. The web frameworks' programs are in `aio_serve.py`.
"""

from __future__ import annotations

import ast
import asyncio
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("app.py")
COROUTINE_METHODS = {"send", "send_packet", "broadcast", "disconnect", "sleep", "get_session", "save_session", "drain"}
# Names that stand for one of the functions above them: what they return may have to be awaited.
VARIABLES = {"command", "run"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def waits(function: ast.AST) -> bool:
    """Whether there is something to await in the function itself, not counting the functions within."""
    todo = list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Await, ast.AsyncWith)):
            return True
        if not isinstance(node, (*FUNCTIONS, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


class Translator(ast.NodeTransformer):
    """One pass; passes are made until none finds anything new."""

    def __init__(self) -> None:
        self.coroutines: set[str] = set()
        self.changed = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        of_server = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "eio"
        name = function.id if isinstance(function, ast.Name) else ""
        wanted = (of_server and function.attr in COROUTINE_METHODS) or name in self.coroutines | VARIABLES  # type: ignore[union-attr]
        if not wanted or getattr(node, "awaited", False):
            return node
        node.awaited = self.changed = True  # type: ignore[attr-defined]
        return ast.Await(ast.Call(ast.Name("settled", ast.Load()), [node], []) if name in VARIABLES else node)

    def visit_With(self, node: ast.With) -> ast.AST:
        self.generic_visit(node)
        text = ast.unparse(node.items[0].context_expr)
        return ast.AsyncWith(node.items, node.body) if text.startswith("eio.session") else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        if not waits(node):
            return node
        self.changed = True
        self.coroutines.add(node.name)
        fields = {name: getattr(node, name) for name in node._fields}
        return ast.AsyncFunctionDef(**fields)


def translate(source: str) -> ast.Module:
    source = source.replace("engineio_green.Server(", "engineio_green.AsyncServer(")
    tree = ast.parse(source.replace("app = engineio_green.WSGIApp(eio, other_app)", ""))
    translator = Translator()
    translator.changed = True
    while translator.changed:
        translator.changed = False
        tree = translator.visit(tree)
    return ast.fix_missing_locations(tree)


async def settled(result: Any) -> Any:
    return await result if asyncio.iscoroutine(result) else result


def start_native_thread(function: Callable[[], Any]) -> None:
    """Call a coroutine function of the loop from another thread."""
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: asyncio.run_coroutine_threadsafe(function(), loop)).start()


def load() -> types.ModuleType:
    module = types.ModuleType("scenarios.app_on_asyncio")
    module.__file__ = str(SOURCE)
    sys.modules[module.__name__] = module
    vars(module)["settled"] = settled
    exec(compile(translate(SOURCE.read_text("utf-8")), str(SOURCE), "exec"), vars(module))
    vars(module)["start_native_thread"] = start_native_thread
    return module
