"""Empties what ``threading.local`` objects hold for a thread, so that one thread can run several tasks as if each had its own.

Owns the two ways in which CPython keeps such values: up to 3.12 in a dictionary of the thread, from 3.13 on in the objects, with
a watch on the thread's end. Each way is tried before it is used. Must not know what runs in the thread.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable

Clear = Callable[[], None]


def make_clear() -> Clear | None:
    """Return a function that empties the calling thread's locals, as its end would. It is for this thread only.

    ``None`` where this Python has no way to do that: then a thread may run one task only.
    """
    try:
        clear = _by_dictionary() if sys.version_info < (3, 13) else _by_watch()
        return clear if _works(clear) else None
    except Exception:  # another interpreter, a Python without ctypes, a version that does it in a third way
        return None


def _by_dictionary() -> Clear:
    import ctypes

    function = ctypes.pythonapi.PyThreadState_GetDict
    function.restype = ctypes.c_void_p  # a borrowed reference, which py_object would give back
    values = ctypes.cast(function(), ctypes.py_object).value

    def clear() -> None:
        if values:
            values.clear()

    return clear


def _by_watch() -> Clear:
    own = threading.local()
    own.value = None
    watches = next(part for part in gc.get_referents(own) if isinstance(part, set))
    (own_watch,) = watches  # this thread alone has used it
    thread = own_watch()  # what stands for this thread in every local that it uses
    count, all_of = weakref.getweakrefcount, weakref.getweakrefs

    def clear(keep: object = own) -> None:  # as long as it lives, its watch does
        if count(thread) == 1:
            return
        for watch in all_of(thread):
            if watch is not own_watch and watch.__callback__ is not None:
                watch.__callback__(watch)

    return clear


def _works(clear: Clear) -> bool:
    class Sample(threading.local):
        fresh = True

        def __init__(self) -> None:
            self.made = True

    sample = Sample()
    for _ in range(2):
        sample.fresh = False
        clear()
        if not (sample.fresh and sample.made):
            return False
    clear()
    return True
