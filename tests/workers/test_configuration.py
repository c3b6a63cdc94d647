"""The commands that the documentation names, and the oldest gunicorn that is supported."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from programs import ROOT, Program, check_echo, gunicorn_arguments
from scenarios.servers import Mode, free_port

from .clients import crowd, farewells
from .servers import CONFIGURED, GRACEFUL_SECONDS, OWN_MODES, Server, each, for_older, gunicorn, install_gunicorn

OLDEST = "22.0.0"


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (ROOT / "examples", "gunicorn -k eventlet -w 1 latency:app"),
        (ROOT, "gunicorn -c gunicorn_conf.py -k eventlet -w 1 examples.latency:app"),
        (ROOT, "gunicorn -c gunicorn_conf.py examples.latency:app"),
    ],
)
def test_it_starts_as_it_is_written(folder, command):
    port = free_port()
    mode = "eventlet" if "eventlet" in command else "threading"
    with Program(command, {"GUNICORN_CMD_ARGS": gunicorn_arguments(port), "ASYNC_MODE": mode}, folder) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        check_echo(f"http://127.0.0.1:{port}")
        assert f"Using worker: {'eventlet' if mode == 'eventlet' else 'gthread'}" in program.output
        assert program.interrupt() == 0


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("gunicorn")
    install_gunicorn(OLDEST, folder)
    return folder


# Up to 25 gunicorn had an eventlet worker of its own under that name: the configuration puts ours there on every version.
@each(Mode("eventlet", "eventlet", gunicorn(*CONFIGURED, "eventlet")), *OWN_MODES[1:])
def test_the_oldest_gunicorn_drains_as_the_newest(mode, connect, tmp_path, oldest, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(oldest), os.environ.get("PYTHONPATH", "")]))
    with Server(for_older(mode), tmp_path) as server:
        assert f"Starting gunicorn {OLDEST}" in server.whole_log()
        talks = crowd(connect(server), 10, 4)
        server.signal(signal.SIGTERM)
        assert farewells(talks) == {"told"}
        assert server.wait_for_end(GRACEFUL_SECONDS) == 0
        server.check_log()
