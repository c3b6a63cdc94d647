"""Two servers and a proxy in front of them, as child processes on ports that were free.

Owns how each is started. The proxy's configuration is the very file in examples/: only addresses, and where nginx keeps its
files, are put in; a test may then spoil it. Both proxies stay in the foreground and are killed by their own process group.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from programs import ROOT, Program, free_port
from scenarios.waiting import wait_until

EXAMPLES = ROOT / "examples"
OPTIONS = {"ping_interval": 1, "ping_timeout": 20}  # sessions that a test leaves alone for a while stay
NAMES = ("first", "second")
Spoil = Callable[[str], str]


def put(text: str, old: str, new: str, count: int = 1) -> str:
    """*text* with *old* replaced; it must be there *count* times, or the example has changed under the test."""
    assert text.count(old) == count, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def without(text: str, *lines: str) -> str:
    """*text* without the lines that begin with one of *lines*; each must be there."""
    for start in lines:
        text, count = re.subn(rf"^ *{re.escape(start)}.*\n", "", text, flags=re.MULTILINE)
        assert count, f"no line begins with {start!r}"
    return text


class Child(Program):
    """A program that may also be killed, as a process is that runs out of memory."""

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@dataclass
class Site:
    """Where a proxy listens, for plain requests and for TLS."""

    http: int
    https: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/"

    @property
    def secure_url(self) -> str:
        return f"https://127.0.0.1:{self.https}/"


def backend_command(name: str, port: int, threads: int = 24) -> list[str]:
    if name == "second":
        return [sys.executable, "-m", "proxies.app", str(port)]
    own = ["--bind", f"127.0.0.1:{port}", "-w", "1", "--graceful-timeout", "2", "--keep-alive", "10", *no_control_socket()]
    return [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", str(threads), *own, "proxies.app:app"]


def no_control_socket() -> list[str]:
    """Newer gunicorns share one control socket per user: two that run at once would disturb each other."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {flag for setting in KNOWN_SETTINGS for flag in (setting.cli or [])}
    return ["--no-control-socket"] if "--no-control-socket" in known else []


def start_backend(name: str, port: int, options: dict[str, Any] | None = None) -> Child:
    """The server *name*: `first` is gunicorn on threads, `second` gevent's own."""
    mode = "gevent" if name == "second" else "threading"
    env = {"BACKEND_NAME": name, "BACKEND_MODE": mode, "BACKEND_OPTIONS": json.dumps({**OPTIONS, **(options or {})})}
    return Child(backend_command(name, port), env, cwd=ROOT / "tests")


def program_of(kind: str) -> str:
    found = shutil.which(kind, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"these tests need {kind}: apt-get install {'nginx-light' if kind == 'nginx' else kind}")
    return found


def nginx_command(folder: Path, site: Site, ports: list[int], spoil: Spoil) -> list[str]:
    text = (EXAMPLES / "nginx.conf").read_text()
    text = put(text, "listen 80;", f"listen 127.0.0.1:{site.http};")
    text = put(text, "listen 443 ssl;", f"listen 127.0.0.1:{site.https} ssl;")
    for number, port in enumerate(ports):
        text = put(text, f"server 127.0.0.1:800{number} ", f"server 127.0.0.1:{port} ")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "\n".join(f"    {kind}_temp_path {folder / kind};" for kind in kinds)
    text = put(text, "http {\n", f"http {{\n{own}\n    access_log off;\n")
    (folder / "nginx.conf").write_text(spoil(text))
    # Started by root it would work as a user that can't enter the folder of the tests.
    user = "user root; " if os.geteuid() == 0 else ""
    orders = f"daemon off; {user}pid {folder / 'nginx.pid'}; error_log stderr warn;"
    return [program_of("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", orders, "-e", "stderr"]


def haproxy_command(folder: Path, site: Site, ports: list[int], spoil: Spoil) -> list[str]:
    text = (EXAMPLES / "haproxy.cfg").read_text()
    text = put(text, "bind :80\n", f"bind 127.0.0.1:{site.http}\n")
    text = put(text, "bind :443 ssl crt certificate.pem", f"bind 127.0.0.1:{site.https} ssl crt {folder}/certificate.pem")
    for name, number, port in zip(("first ", "second"), (0, 1), ports, strict=True):
        text = put(text, f"server {name} 127.0.0.1:800{number} ", f"server {name} 127.0.0.1:{port} ")
    (folder / "haproxy.cfg").write_text(spoil(text))
    return [program_of("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


COMMANDS = {"nginx": nginx_command, "haproxy": haproxy_command}


@contextmanager
def proxy(kind: str, folder: Path, certificate: tuple[Path, Path], ports: list[int], spoil: Spoil = str) -> Iterator[Site]:
    """A proxy in front of the two *ports*, its configuration changed by *spoil*."""
    cert, key = certificate
    for path in certificate:
        shutil.copy(path, folder / path.name)
    (folder / "certificate.pem").write_text(cert.read_text() + key.read_text())
    site = Site(free_port(), free_port())
    with Child(COMMANDS[kind](folder, site, ports, spoil)) as program:
        for port in (site.http, site.https):
            wait_until(lambda port=port: listens(port, program), f"{kind} to listen on {port}", 10, 0.02)
        yield site


def listens(port: int, program: Child | None = None) -> bool:
    if program is not None:
        assert program.running, program.output
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def backends(ports: list[int], options: dict[str, Any] | None = None) -> Iterator[dict[str, Child]]:
    """Both servers, on *ports*, with further *options* of the Server."""
    with ExitStack() as stack:
        found = {}
        for name, port in zip(NAMES, ports, strict=True):
            found[name] = stack.enter_context(start_backend(name, port, options))
        for name, port in zip(NAMES, ports, strict=True):
            wait_until(lambda name=name, port=port: listens(port, found[name]), f"backend {name}", 20, 0.05)
        yield found
