"""How many arguments an application's function takes: handlers and options come in a short and a long form."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

_known: WeakKeyDictionary[Callable[..., Any], dict[int, bool]] = WeakKeyDictionary()


def takes(function: Callable[..., Any], count: int) -> bool:
    """Tell whether *function* can be called with *count* positional arguments. Not by trying: its own errors are its own."""
    try:
        known = _known.setdefault(function, {})
    except TypeError:  # without a hash, or without a place for weak references
        return _examine(function, count)
    if count not in known:
        known[count] = _examine(function, count)
    return known[count]


def _examine(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # no signature to be had, as for some built-in functions
        return count == 1
    return True
