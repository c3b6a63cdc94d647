"""How many arguments an application's function takes: handlers and options come in a short and a long form."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def takes(function: Callable[..., Any], count: int) -> bool:
    """Tell whether *function* can be called with *count* positional arguments. Not by trying: its own errors are its own."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # no signature to be had, as for some built-in functions
        return count == 1
    return True
