"""The test suites of python-socketio and Flask-SocketIO themselves: fetched once, with the plugins that they need.

Owns the folder that they are kept in, below the checkout's `build/`. The releases are those that this environment has.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from programs import ROOT, environment

PLUGINS = ("msgpack", "pytest-asyncio", "valkey")  # beside what the environment has
if sys.version_info < (3, 11):
    PLUGINS += ("backports-asyncio-runner",)


def folder_of(package: str) -> Path:
    """The unpacked source of the installed release of *package*."""
    release = f"{package}=={importlib.metadata.version(package)}"
    folder = ROOT / "build" / "suites" / release
    if not folder.exists():
        fresh = folder.with_suffix(".part")
        shutil.rmtree(fresh, ignore_errors=True)
        _pip("download", "--no-deps", "--no-binary", package, "--dest", str(fresh), release)
        (archive,) = fresh.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(fresh, filter="data")
        fresh.rename(folder)
    (top,) = (path for path in folder.iterdir() if path.is_dir())
    return top


def plugins() -> Path:
    """A folder for PYTHONPATH. These plugins would take part in our own tests, too, if they were installed."""
    folder = ROOT / "build" / "suites" / f"plugins-{sys.version_info.major}.{sys.version_info.minor}"
    if not folder.exists():
        fresh = folder.with_suffix(f"{folder.suffix}.part")
        shutil.rmtree(fresh, ignore_errors=True)
        _pip("install", "--no-deps", "--target", str(fresh), *PLUGINS)
        fresh.rename(folder)
    return folder


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr[-4000:]
