"""The releases of python-socketio and Flask-SocketIO that are tested: those of this environment, and the oldest that run here.

Owns the old ones: which they are, and the virtual environment below `build/` that has them, made once and again when a pin
changes. python-engineio is not in it. Knows nothing of what the programs do that are run on them.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from programs import ROOT

HERE = Path(__file__).parent
FOLDER = ROOT / "build" / "old-socketio"
# The oldest that work with the engineio of their time: 5.0.0 is for revision 3 of the protocol, 5.0.1 and 5.0.2 have no sessions
# for servers. They came with the Flask of their time, and their asyncio server, until 5.7.1, with Python 3.10 at most.
OLDEST = "5.0.3"
OLDEST_ASYNCIO = "5.7.1"
PINS = (
    f"python-socketio=={OLDEST}",
    "flask-socketio==5.0.0",
    "bidict==0.21.2",
    "flask==1.1.4",
    "werkzeug==1.0.1",
    "jinja2==2.11.3",
    "markupsafe==1.1.1",
    "itsdangerous==1.1.0",
    "click==7.1.2",
)
PINS_ASYNCIO = (f"python-socketio=={OLDEST_ASYNCIO}",)
# What the package's clients and its asyncio server need, as everybody has them, and a client of Redis.
BESIDE = (f"-e{ROOT}[gevent,client,asyncio-client]", "uvicorn>=0.30", "redis>=5")
SECONDS = 110  # under the limit that pytest-timeout sets for one test, so that the sentence below is what one reads


class EnvironmentMissing(Exception):
    """The old releases could not be installed; the text has what pip said."""


@dataclass(frozen=True)
class Release:
    """A release of python-socketio: how to run a program on it, with this package as its engineio."""

    name: str
    python: Path
    version: tuple[int, ...]
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    def command(self, program: str, *arguments: object) -> list[str]:
        """The command line for a program of this folder."""
        return [str(self.python), "-m", "engineio_green", "run", str(HERE / program), *map(str, arguments)]


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


OLD_PYTHON = FOLDER / "bin" / "python"
NEWEST_RELEASE = Release("newest", Path(sys.executable), _version(metadata.version("python-socketio")))
OLDEST_RELEASE = Release("oldest", OLD_PYTHON, _version(OLDEST))
OLDEST_ASYNCIO_RELEASE = Release(
    "oldest-asyncio", OLD_PYTHON, _version(OLDEST_ASYNCIO), {"PYTHONPATH": str(FOLDER / "asyncio_release")}
)


def install_old_releases() -> None:
    """Make the environment of the old releases, if it is not there. Processes that ask at the same time wait for the first."""
    FOLDER.parent.mkdir(exist_ok=True)
    with open(FOLDER.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = FOLDER / "complete.txt"
        wanted = "\n".join([sys.version, *PINS, *PINS_ASYNCIO, *BESIDE])
        if not mark.exists() or mark.read_text() != wanted:
            mark.unlink(missing_ok=True)
            _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
            _install("--no-deps", *PINS)
            _install("--no-deps", "--target", str(FOLDER / "asyncio_release"), *PINS_ASYNCIO)
            _install(*BESIDE)
            mark.write_text(wanted)


def _install(*arguments: str) -> None:
    _run(str(OLD_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise EnvironmentMissing(f"{command} did not end within {SECONDS} s") from None
    if done.returncode:
        raise EnvironmentMissing(f"{command} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
