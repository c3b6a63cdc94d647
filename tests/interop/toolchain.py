"""The programs that tests in JavaScript need besides Python: found here, installed where that is possible, named when missing.

Knows nothing of Engine.IO. A missing program is a failure with a sentence that says what to do: a test that is
skipped on the one machine that matters has tested nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
CLIENT = "engine.io-client"
INSTALL = "apt-get install nodejs npm chromium"
NPM_SECONDS = 100  # under the limit that pytest-timeout sets for one test, so that the sentence below is what one reads


class ToolMissing(Exception):
    """Something that these tests need is not on this machine; the text says what, and how to get it."""


def find_program(what: str, *names: str, variable: str) -> str:
    """Path of the first of `names` on PATH; the environment's `variable` goes first."""
    chosen = os.environ.get(variable)
    for name in [chosen] if chosen else names:
        path = shutil.which(name)
        if path is not None:
            return path
    looked_for = f"{variable}={chosen}" if chosen else " or ".join(names)
    raise ToolMissing(
        f"These tests need {what}, and {looked_for} is not on PATH. Get it with `{INSTALL}` (Debian's names), "
        f"or set {variable} to the program."
    )


def find_node() -> str:
    return find_program("Node.js 18 or newer", "node", "nodejs", variable="NODE")


def find_chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return find_program("a Chromium", *names, variable="CHROMIUM")


def client_is_installed(folder: Path = HERE, client: str = CLIENT) -> bool:
    """True when node_modules holds the very version of the client that package-lock.json names."""
    try:
        locked = json.loads((folder / "package-lock.json").read_text())["packages"][f"node_modules/{client}"]["version"]
        return bool(json.loads((folder / "node_modules" / client / "package.json").read_text())["version"] == locked)
    except (OSError, KeyError, ValueError):
        return False


def install_client(report: Callable[[str], None], folder: Path = HERE, client: str = CLIENT) -> None:
    """Install what the package-lock.json of *folder* names; `report` gets a line before anything slow starts.

    Processes that share a test run may all ask for it: one installs, the others wait for it.
    """
    with (folder / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not client_is_installed(folder, client):
            _install(report, folder, client)


def _install(report: Callable[[str], None], folder: Path, client: str) -> None:
    npm = find_program("npm", "npm", variable="NPM")
    report(f"installing the JavaScript client: npm ci in {folder} (once, some seconds) ...")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {**os.environ, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1", "NO_UPDATE_NOTIFIER": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ToolMissing(
            f"`npm ci` in {folder} did not end within {NPM_SECONDS} s, and these tests need {client}. "
            "Check the network and run it by hand."
        )
    if done.returncode != 0 or not client_is_installed(folder, client):
        raise ToolMissing(
            f"`npm ci` in {folder} failed (status {done.returncode}), and these tests need {client}. "
            f"npm said:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    report("the JavaScript client is installed")
