"""Virtual environments with published applications, one for each, kept in the checkout's ignored folder `build/`.

Owns how one is made, and when it is made anew: when its requirements, this package's own, the Python or the checkout's place
have changed, or when it was not finished. Knows nothing of what an application does.
"""

from __future__ import annotations

import configparser
import fcntl
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from programs import ROOT

FOLDER = ROOT / "build" / "published"
INSTALL_SECONDS = 300.0


class InstallFailed(Exception):
    """Something could not be installed; the text says what, and what the installer said."""


class Environment:
    """A virtual environment with one application in it, and this package from the checkout."""

    def __init__(self, name: str, requirements: Sequence[str], npm: Sequence[str] = ()) -> None:
        self.folder = FOLDER / name
        self.python = self.folder / "bin" / "python"
        self._requirements = [*requirements, *_own_requirements()]
        self._npm = list(npm)
        self._marker = self.folder / "complete"

    @property
    def node_modules(self) -> Path:
        """Where the JavaScript packages are, for pages that name them at a CDN."""
        return self.folder / "node_modules"

    def make(self) -> None:
        """Install it, if that has not been done."""
        with _alone(self.folder):
            if not self._is_complete():
                self._install()

    def _wanted(self) -> str:
        return "\n".join([sys.version, str(ROOT), *self._requirements, *self._npm])

    def _is_complete(self) -> bool:
        return self._marker.exists() and self._marker.read_text() == self._wanted()

    def _install(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        venv.create(self.folder, symlinks=True)
        # Without byte code, which is then made of what is imported only; by the tests' own pip, so that none is installed.
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-compile"]
        _run([*pip, *self._requirements])
        # What an editable installation does, without a build and without another folder in the checkout.
        site_packages = next(self.folder.glob("lib/python*/site-packages"))
        (site_packages / "engineio_green.pth").write_text(f"{ROOT}\n")
        if self._npm:
            npm = ["npm", "install", "--prefix", str(self.folder), "--ignore-scripts", "--no-audit", "--no-fund"]
            _run([*npm, "--loglevel=error", *self._npm])
        self._marker.write_text(self._wanted())


def _own_requirements() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["options"]["install_requires"].split()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except FileNotFoundError:
        raise InstallFailed(f"These tests need {command[0]}: apt-get install {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise InstallFailed(f"{' '.join(command)} did not end within {INSTALL_SECONDS:g} s") from None
    if done.returncode:
        raise InstallFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two runs of the tests in one checkout install one after the other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.with_suffix(".lock"), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
