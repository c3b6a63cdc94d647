"""A thousand clients in one process: all connect, talk and leave within a minute, on one thread each, and leave nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import url_of

PROGRAM = Path(__file__).with_name("many_program.py")


@pytest.mark.parametrize(("count", "transport"), [(1000, "websocket"), (300, "upgrade")])
def test_a_thousand_clients_connect_echo_and_leave_nothing(server, count, transport):
    command = [sys.executable, str(PROGRAM), str(count), transport, url_of(server)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout)
    assert seen["threads"] == {"engineio-client-reader": count, "engineio-client-watch": 1}
    assert seen["laps"]["gone"] < 60
