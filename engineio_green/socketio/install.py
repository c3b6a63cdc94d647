"""Makes ``import engineio`` mean this package, as database drivers do for the driver that they replace.

Owns the finder that answers for ``engineio`` and all below it, and the refusal to come too late. Must not import the package's
own modules before somebody asks for them: a program may call this in its first line, before gevent or eventlet patches the
standard library.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import engineio_green
from engineio_green.socketio.modules import ATTRIBUTES, BEHIND, MODULES, TOP

NAME = "engineio"
VARIABLE = "ENGINEIO_GREEN_AS_ENGINEIO"
# Those that have the other engineio for good once they are imported, the outermost first.
_USERS = ("flask_socketio", "socketio", NAME)


def install_as_engineio() -> None:
    """Let ``import engineio``, and everything below that name, find this package from now on, in the whole process.

    Call it once before ``socketio``, ``flask_socketio`` or ``engineio`` is imported; further calls do nothing. Any thread may
    call it. Raises :class:`~engineio_green.exceptions.InstallError` when one of them has been imported already, with the
    name of the modules whose import has to move below this call.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    early = next((name for name in _USERS if name in sys.modules), None)
    if early is not None:
        from engineio_green.exceptions import InstallError

        raise InstallError(_too_late(early))
    sys.meta_path.insert(0, _Finder())


def install_if_wanted() -> None:
    """Call :func:`install_as_engineio` if the environment variable ``ENGINEIO_GREEN_AS_ENGINEIO`` is set to something true."""
    if os.environ.get(VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off"):
        install_as_engineio()


def _too_late(early: str) -> str:
    places = ", ".join(_importers(early))
    return (
        f"install_as_engineio() comes too late: {early!r} has been imported already"
        + (f" (by {places})" if places else "")
        + f", with another engineio. Move the call above the first 'import {early}' of the program, or start the program with "
        f"'python -m engineio_green run'"
    )


def _importers(name: str) -> list[str]:
    """Return the modules that hold *name*'s module, or something out of it, the main program first."""
    found = []
    for holder, module in list(sys.modules.items()):
        if holder.partition(".")[0] in (*_USERS, "__mp_main__") or not isinstance(module, ModuleType):
            continue
        for value in list(vars(module).values()):
            home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(home, str) and home.partition(".")[0] == name:
                found.append(holder)
                break
    return sorted(found, key=lambda holder: (holder != "__main__", holder))[:5]


class _Finder(importlib.abc.MetaPathFinder):
    """Answers for ``engineio`` and what is below it, and for nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how to make the module *fullname*, or ``None`` if it is not ours."""
        top, _, below = fullname.partition(".")
        if top != NAME or (below and below not in MODULES):
            return None
        package = below in ("", "async_drivers")
        return importlib.machinery.ModuleSpec(fullname, _Loader(), origin="engineio_green", is_package=package)


class _Loader(importlib.abc.Loader):
    """Fills a module with a function that finds its names when they are asked for."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Let the import system make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Give *module* its names."""
        below = module.__name__.partition(".")[2]
        names, behind = (MODULES[below], BEHIND.get(below)) if below else (TOP, NAME)

        def find(name: str) -> Any:
            if name in names:
                value = _value_at(names[name])
            elif behind is None or name.startswith("__"):
                raise AttributeError(f"module {module.__name__!r} of engineio_green has no attribute {name!r}")
            elif behind is NAME:
                value = _attribute_of_package(name)
            else:
                value = getattr(importlib.import_module(behind), name)
            setattr(module, name, value)
            return value

        module.__doc__ = f"What applications know as {module.__name__}, served by engineio_green."
        module.__dict__["__getattr__"] = find
        if not below:
            module.__dict__["__version__"] = engineio_green.__version__
            module.__dict__["__all__"] = list(engineio_green.__all__)
        else:
            module.__dict__["__all__"] = list(names)


def _value_at(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _attribute_of_package(name: str) -> Any:
    if name in ATTRIBUTES:
        return importlib.import_module(f"{NAME}.{name}")
    return getattr(engineio_green, name)
