"""The suites of python-socketio and Flask-SocketIO pass on this package, but for cases that look at how the other one is made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import ROOT, environment

from . import suites

# Cases of python-socketio that fail, each for its reason.
OF_THE_OTHER = {
    # A text stands for a JSON module. Here a server says at once that it has no dumps and no loads, and a module is the
    # option of one server or client, where the other one sets a variable for the whole process.
    "test_custom_json",
    # The headers of a 404 are compared to the letter; ours says its length.
    "test_404",
}


def run(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "socket_io_surface.run_suite", str(folder), *tests]
    extra = {"PYTHONPATH": str(suites.plugins()), "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=ROOT / "tests", env=environment(extra), capture_output=True, text=True, check=False)


def counted(output: str, what: str) -> int:
    found = re.search(rf"(\d+) {what}", output.splitlines()[-1])
    return int(found[1]) if found else 0


@pytest.mark.timeout(400)
def test_the_suite_of_flask_socketio_passes_test_client_and_all():
    done = run(suites.folder_of("flask-socketio"), "test_socketio.py")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert counted(done.stdout, "passed") >= 40


@pytest.mark.timeout(400)
def test_the_suite_of_python_socketio_passes_but_for_what_looks_inside():
    done = run(suites.folder_of("python-socketio"), "tests/async", "tests/common")
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE))
    assert failed == OF_THE_OTHER, done.stdout[-6000:] + done.stderr[-2000:]
    assert counted(done.stdout, "passed") >= 650
    assert counted(done.stdout, "error") == 0
