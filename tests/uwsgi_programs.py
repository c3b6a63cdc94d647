"""The two uWSGIs that the tests start: the wheel `pyuwsgi`, which has no TLS, and one built from the package `uwsgi`, which has.

Owns where they are and how the second is built: once per virtual environment, which keeps it. Knows nothing of Engine.IO.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VERSION = "2.0.31"
BUILT = Path(sys.prefix) / f"uwsgi-{VERSION}-built-{sys.implementation.cache_tag}"
# What the tests need and nothing else, for the shortest build: a third of the whole program's time.
PROFILE = "ssl=true;xml=false;pcre=false;json=false;yaml=false;routing=false;embedded_plugins=python,gevent,corerouter,http"
INSTALL = "apt-get install gcc libc6-dev libssl-dev python3-dev"
BUILD_SECONDS = 110  # under the limit that pytest-timeout sets for one test, so that the sentence below is what one reads


class ToolMissing(Exception):
    """Something that these tests need is not on this machine; the text says what, and how to get it."""


def wheel() -> Path:
    """The program of the wheel `pyuwsgi`."""
    program = Path(sys.prefix) / "bin" / "uwsgi"
    if not program.exists():
        raise ToolMissing('These tests need the wheel pyuwsgi: pip install -e ".[test]"')
    return program


def built(seconds: float = BUILD_SECONDS) -> Path:
    """The program that was built with OpenSSL's headers; builds it, within *seconds*, if this environment has none yet."""
    program = BUILT / "bin" / "uwsgi"
    if not program.exists():
        _build(seconds)
    return program


def _build(seconds: float) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-binary", "uwsgi", "--target", str(BUILT)]
    env = {**os.environ, "UWSGI_PROFILE_OVERRIDE": PROFILE, "CFLAGS": "-O0", "PIP_NO_CACHE_DIR": "1"}
    try:
        result = subprocess.run([*command, f"uwsgi=={VERSION}"], env=env, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"uWSGI was not built within {seconds:g} s; try again when the machine is less busy") from None
    if result.returncode:
        raise ToolMissing(
            f"uWSGI could not be built. It wants a C compiler and the headers of OpenSSL and of this Python, which are "
            f"`{INSTALL}` for Debian's own Python:\n{result.stdout[-1000:]}{result.stderr[-1000:]}"
        )
