"""Imported at the start of every Python under test, behind `run`'s own: tells whose engineio its Socket.IO package has got."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

WATCHED = "socketio.server"


class Witness(importlib.abc.MetaPathFinder):
    """Lets the module be found as always, and speaks once it has been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one module only."""
        if fullname != WATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.loader is not None
        import_it = spec.loader.exec_module

        def and_tell(module: ModuleType) -> None:
            import_it(module)
            print(f"witness: {WATCHED} has its engineio from {module.engineio.__spec__.origin}", flush=True)

        spec.loader.exec_module = and_tell
        return spec


sys.meta_path.insert(0, Witness())
