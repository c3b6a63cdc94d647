"""What every test does with the child processes that it starts. Owns nothing of what they run."""

from __future__ import annotations

import ctypes
import signal
import sys

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For `preexec_fn`: a test run that is killed leaves no programs behind (Linux)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
