"""What the old releases run on: this package in the place of engineio, and no other engineio that could be found."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import Preparation
from .environments import OLDEST_ASYNCIO_RELEASE, OLDEST_RELEASE, Release

LOOK = """
import importlib.metadata, json, engineio, socketio
names = [distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()]
print(json.dumps({
    "release": importlib.metadata.version("python-socketio"),
    "others": [name for name in names if name.replace("_", "-") == "python-engineio"],
    "classes": [socketio.Server().eio.__class__.__module__, engineio.Client.__module__, engineio.AsyncClient.__module__],
}))
"""


@pytest.mark.parametrize("release", [OLDEST_RELEASE, OLDEST_ASYNCIO_RELEASE], ids=lambda release: release.name)
def test_old_release_finds_this_package_and_no_other_engineio(release: Release, prepare: Preparation, tmp_path):
    prepare(release)
    program = tmp_path / "look.py"
    program.write_text(LOOK)
    command = [str(release.python), "-m", "engineio_green", "run", str(program)]
    done = subprocess.run(command, env=dict(release.variables), capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert tuple(int(part) for part in found["release"].split(".")) == release.version
    assert found["others"] == []
    assert all(module.startswith("engineio_green.") for module in found["classes"])
    # Without this package in its place the name is not there at all.
    command = [str(release.python), "-c", "import engineio"]
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "No module named 'engineio'" in plain.stderr
