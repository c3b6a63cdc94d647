"""The one way to wait in a test: poll a condition until a deadline. Owns no knowledge of what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, timeout: float = 5.0, pause: float = 0.01) -> T:
    """Return the first true value of `condition()`; fail with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}; last value {value!r}")
        time.sleep(pause)
