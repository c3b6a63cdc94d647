"""The clock of both clients: it goes on while the computer sleeps, where there is such a one. The server's patience does, too."""

from __future__ import annotations

import time

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Return the seconds on the scale of all deadlines of a client."""
    return time.clock_gettime(_CLOCK)
