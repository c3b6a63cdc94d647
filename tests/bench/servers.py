"""The servers under measurement: started in a process of their own on one core, observed through /proc, ended.

It owns command lines, pinning and accounting. It knows nothing of protocols beyond the one request that tells
whether a server answers.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
START_DEADLINE = 30.0
STOP_DEADLINE = 5.0

OWN_ASYNC = ("uvicorn", "aiohttp")
OWN = ("gevent", "eventlet", "werkzeug", "gunicorn")
PEERS_ASYNC = ("peer-uvicorn", "peer-aiohttp")
PEERS = ("peer-gevent", "peer-eventlet", "peer-threading")
NODE = "node"
ALL = (*OWN, *PEERS, NODE)
ALL_ASYNC = (*OWN_ASYNC, *PEERS_ASYNC)
OWN_SOCKETIO = ("socketio-gevent", "socketio-werkzeug", "flask-gevent", "flask-werkzeug")
PEERS_SOCKETIO = tuple(f"peer-{name}" for name in OWN_SOCKETIO)
ALL_SOCKETIO = (*OWN_SOCKETIO, *PEERS_SOCKETIO)
OURS = (*OWN, *OWN_ASYNC, *OWN_SOCKETIO)
EVERY = (*ALL, *ALL_ASYNC, *ALL_SOCKETIO)

LABEL = {
    "gevent": "gevent.pywsgi",
    "eventlet": "eventlet.wsgi",
    "werkzeug": "threads, Werkzeug",
    "gunicorn": "threads, gunicorn gthread",
    "peer-gevent": "Python peer, gevent.pywsgi",
    "peer-eventlet": "Python peer, eventlet.wsgi",
    "peer-threading": "Python peer, threads, Werkzeug",
    "node": "Node engine.io",
    "uvicorn": "asyncio, uvicorn",
    "aiohttp": "asyncio, aiohttp",
    "peer-uvicorn": "Python peer, uvicorn",
    "peer-aiohttp": "Python peer, aiohttp",
    "socketio-gevent": "python-socketio, gevent",
    "socketio-werkzeug": "python-socketio, threads",
    "flask-gevent": "Flask-SocketIO, gevent",
    "flask-werkzeug": "Flask-SocketIO, threads",
    "peer-socketio-gevent": "python-socketio on the peer, gevent",
    "peer-socketio-werkzeug": "python-socketio on the peer, threads",
    "peer-flask-gevent": "Flask-SocketIO on the peer, gevent",
    "peer-flask-werkzeug": "Flask-SocketIO on the peer, threads",
}


@dataclass(frozen=True)
class Tools:
    """Where the other implementations are installed; None: not there, their rows are left out."""

    peer_python: Path | None
    node: str | None
    node_modules: Path | None

    def available(self, name: str) -> bool:
        if name == NODE:
            return self.node is not None and self.node_modules is not None
        return name in OURS or self.peer_python is not None

    def command(self, name: str, fd: int) -> list[str]:
        if name == NODE:
            return [str(self.node), str(HERE / "apps" / "node.js"), str(fd)]
        app = "aio.py" if name in ALL_ASYNC else "socketio_app.py" if name in ALL_SOCKETIO else "wsgi.py"
        program = str(HERE / "apps" / app)
        if name in OURS:
            return [sys.executable, program, "engineio_green", name, str(fd)]
        kind = name.removeprefix("peer-").replace("threading", "werkzeug")
        return [str(self.peer_python), program, "engineio", kind, str(fd)]

    def environment(self, name: str) -> dict[str, str]:
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if name in OURS:
            environment["PYTHONPATH"] = str(ROOT)
        elif name == NODE:
            environment["NODE_PATH"] = str(self.node_modules)
        return environment


@dataclass(frozen=True)
class Cores:
    """One core for the server, another for the load."""

    server: int
    load: int

    @classmethod
    def choose(cls) -> Cores:
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise SystemExit("the benchmark needs two cores: one for the server, one for the load")
        server = available[-1]
        others = [core for core in available if core not in _siblings(server)] or available[:-1]
        return cls(server, others[0])


def _siblings(core: int) -> set[int]:
    """The hardware threads that share `core`, itself included."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    siblings: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        siblings.update(range(int(first), int(last or first) + 1))
    return siblings


class Server:
    """A running server; use it as a context manager."""

    def __init__(self, name: str, tools: Tools, cores: Cores) -> None:
        self.name = name
        self._core = cores.server
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
            self.address: tuple[str, int] = listener.getsockname()
            self._process = subprocess.Popen(
                tools.command(name, listener.fileno()),
                env=tools.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[listener.fileno()],
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {cores.server}),
            )

    def __enter__(self) -> Server:
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _wait_ready(self) -> None:
        """Waits for any answer: even a refusal, which leaves no session behind, shows that the server serves."""
        deadline = time.monotonic() + START_DEADLINE
        while True:
            connection = http.client.HTTPConnection(*self.address, timeout=1)
            try:
                connection.request("GET", "/engine.io/?EIO=4&transport=none")
                connection.getresponse().read()
                return
            except (OSError, http.client.HTTPException) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not answer: {error!r}; {self.log_tail()}") from error
            finally:
                connection.close()

    def stop(self) -> None:
        """Ends the server and everything it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            try:
                self._process.wait(STOP_DEADLINE if number == signal.SIGTERM else None)
            except subprocess.TimeoutExpired:
                continue
        self._log.close()

    def log_tail(self) -> str:
        """The end of what the server printed: the reason, when something went wrong."""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return text[-600:] or "it printed nothing"

    def pids(self) -> list[int]:
        """The process and all its descendants."""
        children: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = _stat(int(entry))
                except OSError:
                    continue
                children.setdefault(int(fields[1]), []).append(int(entry))
        found = [self._process.pid]
        for pid in found:
            found.extend(children.get(pid, ()))
        return found

    def cpu_seconds(self) -> float:
        """CPU time of the whole process tree since its start, threads and children that have ended included."""
        return sum(map(_cpu_seconds, self.pids()))

    def core_seconds(self) -> float:
        """How long the server's core has been at work, for whomever."""
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name == f"cpu{self._core}":
                user, nice, system, _idle, _iowait, irq, softirq = map(int, ticks[:7])
                return (user + nice + system + irq + softirq) / TICK
        return 0.0

    def memory_kb(self) -> int:
        """Proportional set size of the whole process tree."""
        return sum(map(_pss_kb, self.pids()))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on: the name before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    ended_children = (int(fields[13]) + int(fields[14])) / TICK
    try:
        # The process's CPU clock (clock_getcpuclockid(3) in its Linux encoding): nanoseconds, ended threads included.
        own = time.clock_gettime((~pid << 3) | 2)
    except OSError:
        own = (int(fields[11]) + int(fields[12])) / TICK
    return own + ended_children


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"no Pss in smaps_rollup of {pid}")
