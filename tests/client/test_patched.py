"""The same client inside programs that gevent or eventlet have patched: its threads are theirs, and nothing blocks the hub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import url_of

PROGRAM = Path(__file__).with_name("patched_program.py")


@pytest.mark.parametrize("model", ["gevent", "eventlet"])
@pytest.mark.parametrize("transport", ["polling", "upgrade"])
def test_client_works_on_patched_threads(server, model, transport):
    command = [sys.executable, str(PROGRAM), model, transport, url_of(server)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "all well\n"


def test_two_clients_do_not_wait_for_each_other_in_one_hub(server):
    command = [sys.executable, str(PROGRAM), "gevent", "many", url_of(server)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "all well\n")
