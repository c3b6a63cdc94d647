"""What makes sure that the core is pure while its tests run: whoever opens a socket, waits or reads a clock fails.

Owns the prohibition. Must not know what is tested. The clocks themselves stay usable for pytest and hypothesis, which measure
time: only the package's own modules are refused.
"""

from __future__ import annotations

import datetime
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite(f"{__package__}.session_books")

CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time")


# The test runner's own: what shares the tests among processes waits for the next one in this very process.
RUNNERS = ("xdist", "execnet", "__channelexec__")
BETWEEN = ("threading", "queue", __name__)


def _forbid(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_globals.get("__name__") in BETWEEN:
            frame = frame.f_back
        if str(frame.f_globals.get("__name__")).startswith(RUNNERS):
            return original(*args, **kwargs)
        raise AssertionError(f"the core must not use {what}")

    return refuse


def _forbid_to_the_package(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__", "").startswith("engineio_green"):
            raise AssertionError(f"the core must not use {what}: it is told the time")
        return original(*args, **kwargs)

    return refuse


@pytest.fixture(scope="module", autouse=True)
def _purity() -> Iterator[None]:
    """No sockets, processes, threads or sleeps for anybody; no clock for the package."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [
            (socket, "socket"),
            (socket, "create_connection"),
            (socket, "getaddrinfo"),
            (subprocess, "Popen"),
            (threading.Thread, "start"),
            (threading.Event, "wait"),
            (threading.Condition, "wait"),
            (time, "sleep"),
        ]:
            patch.setattr(owner, name, _forbid(f"{owner.__name__}.{name}", getattr(owner, name)))
        for name in CLOCKS:
            patch.setattr(time, name, _forbid_to_the_package(f"time.{name}", getattr(time, name)))

        class NoClock(datetime.datetime):
            """A ``datetime`` that does not know what day it is."""

            now = classmethod(_forbid("datetime.now", datetime.datetime.now))
            today = classmethod(_forbid("datetime.today", datetime.datetime.today))
            utcnow = classmethod(_forbid("datetime.utcnow", datetime.datetime.utcnow))

        patch.setattr(datetime, "datetime", NoClock)
        yield
