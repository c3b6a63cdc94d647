"""The other implementations: the compatible Python package and Node's engine.io, installed once into a cache folder.

It owns installation and the record of versions. What can't be installed is reported and left out, never guessed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from .servers import NODE, PEERS, PEERS_ASYNC, PEERS_SOCKETIO, Cores, Tools

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "engineio_green-bench"
# The peer gets the versions that this environment has.
SHARED = ("gevent", "eventlet", "werkzeug", "uvicorn", "aiohttp", "flask", "python-socketio", "flask-socketio")
INSTALL_TIME = 600.0


def prepare(arguments: argparse.Namespace, wanted: set[str]) -> Tools:
    """Finds or installs what the `wanted` servers need."""
    peer = node = modules = None
    if wanted.intersection(PEERS + PEERS_ASYNC + PEERS_SOCKETIO):
        peer = arguments.peer_python or _install_peer()
    if NODE in wanted:
        node = shutil.which("node")
        if node is None:
            print("Node is not installed: its rows are left out", flush=True)
        else:
            modules = arguments.node_modules or _install_node_modules()
    return Tools(peer, node, modules)


def _install_peer() -> Path | None:
    folder = CACHE / f"peers-python{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        packages = [f"{name}=={importlib.metadata.version(name)}" for name in SHARED]
        packages += ["python-engineio", "simple-websocket"]
        print(f"installing the Python peer into {folder} (once) ...", flush=True)
        if not (
            _run([sys.executable, "-m", "venv", str(folder)])
            and _run([str(python), "-m", "pip", "install", "--quiet", *packages])
        ):
            print("the Python peer can't be installed: its rows are left out", flush=True)
            return None
        complete.touch()
    return python


def _install_node_modules() -> Path | None:
    folder = CACHE / "node"
    modules = folder / "node_modules"
    if not (modules / "engine.io").exists():
        npm = shutil.which("npm")
        print(f"installing Node's engine.io into {folder} (once) ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        if npm is None or not _run([npm, "install", "--silent", "--no-fund", "--prefix", str(folder), "engine.io"]):
            print("engine.io can't be installed: the rows of Node are left out", flush=True)
            return None
    return modules


def _run(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIME, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, flush=True)
        return False
    if done.returncode:
        print((done.stderr or done.stdout).strip()[-1000:], flush=True)
    return done.returncode == 0


def environment(tools: Tools, cores: Cores) -> dict[str, object]:
    """What a reader of the figures must know about where they come from."""
    own = {name: _version(name) for name in ("engineio_green", "websockets", "gunicorn", *SHARED)}
    found: dict[str, object] = {
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "cores": {"server": cores.server, "load": cores.load},
        "python": platform.python_version(),
        "packages": own,
    }
    if tools.peer_python:
        code = (
            "import importlib.metadata as m, platform; print(platform.python_version(), *"
            f"(f'{{n}} {{m.version(n)}}' for n in {('python-engineio', 'simple-websocket', *SHARED)!r}), sep=', ')"
        )
        found["peer"] = _output([str(tools.peer_python), "-c", code])
    if tools.node and tools.node_modules:
        code = "console.log(process.version + ', engine.io ' + require('engine.io/package.json').version)"
        found["node"] = _output([tools.node, "-e", code], NODE_PATH=str(tools.node_modules))
    return found


def _output(command: list[str], **extra: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **extra}, check=False)
    return done.stdout.strip() or done.stderr.strip()[-200:]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
