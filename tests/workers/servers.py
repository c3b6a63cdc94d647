"""gunicorn with each of the workers that the tests are about. Owns the table and how the master and its worker are told apart."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scenarios import servers as scenarios
from scenarios.servers import Mode
from scenarios.waiting import wait_until

CONFIGURED = ("-c", "python:engineio_green.gunicorn_conf", "-k")
GRACEFUL_SECONDS = 6
APPLICATION = "workers.app:app"


def gunicorn(*arguments: str) -> Callable[[int], list[str]]:
    line = scenarios.gunicorn("-w", "1", "--graceful-timeout", str(GRACEFUL_SECONDS), *arguments)
    return lambda port: [*line(port)[:-1], APPLICATION]


# Our classes anywhere; those of gunicorn where the configuration file is in effect.
OWN_MODES = (
    Mode("own-eventlet", "eventlet", gunicorn("-k", "engineio_green.workers.EventletWorker")),
    Mode("own-gevent", "gevent", gunicorn("-k", "engineio_green.workers.GeventWorker")),
    Mode("own-threads", "threading", gunicorn("-k", "engineio_green.workers.ThreadWorker", "--threads", "100")),
)
STOCK_MODES = (
    Mode("gevent", "gevent", gunicorn(*CONFIGURED, "gevent")),
    Mode("gevent-pywsgi", "gevent", gunicorn(*CONFIGURED, "gevent_pywsgi")),
    Mode("gthread", "threading", gunicorn(*CONFIGURED, "gthread")),
)
EVENTLET, GEVENT, THREADS = OWN_MODES


def each(*modes: Mode) -> Any:
    """Run a test with each of them."""
    return pytest.mark.parametrize("mode", modes, ids=[mode.name for mode in modes])


def with_arguments(mode: Mode, *arguments: str) -> Mode:
    """The same worker with more on its command line."""

    def command(port: int) -> list[str]:
        line = mode.command(port)
        return [*line[:-1], *arguments, line[-1]]

    return replace(mode, command=command)


class Server(scenarios.Server):
    """One gunicorn: what is asked over HTTP comes from the worker, signals go to the master."""

    def __init__(self, mode: Mode, folder: Path, certificate: tuple[Path, Path] | None = None, **options: Any):
        if certificate:
            mode = replace(with_arguments(mode, "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])), tls=True)
        super().__init__(mode, options, folder, certificate)

    def check_log(self, expected: Iterable[str] = ()) -> None:
        at_exit = [] if self.alive() else [scenarios.AT_EXIT]
        super().check_log([*expected, *at_exit, "Reloader is on"])

    @property
    def worker(self) -> int:
        """The process that answers."""
        return int(self.stats()["pid"])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        """No ceremony at the end of a test that is about something else: how a worker ends has tests of its own."""
        try:
            if kind is None and self.alive():
                self.check_log()
        finally:
            self.kill()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_for_end(self, timeout: float) -> int:
        """The exit code of the master, once it and its worker are gone."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout} s:\n{self.log_tail()}") from None
        return code

    def wait_for_other_worker(self, old: int, timeout: float = 10.0) -> int:
        """The process that answers in place of *old*."""

        def look() -> int | None:
            try:
                found = self.worker
            except (OSError, AssertionError):
                return None
            return found if found != old else None

        return int(wait_until(look, f"another worker than {old}", timeout, 0.05) or 0)

    def wait_until_gone(self, pid: int, timeout: float = 10.0) -> None:
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"worker {pid} to end", timeout, 0.05)

    def whole_log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")


def install_gunicorn(version: str, folder: Path) -> None:
    """Put that gunicorn into *folder*, beside the one that is installed."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), f"gunicorn=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def for_older(mode: Mode) -> Mode:
    """Without what only newer gunicorns understand."""
    return replace(mode, command=lambda port: [part for part in mode.command(port) if part != "--no-control-socket"])
