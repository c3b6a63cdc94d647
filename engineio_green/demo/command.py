"""Serve a page that talks to this server over both transports and draws round-trip times live; Ctrl-C ends it.

Owns the command's options, its exit codes and the sentences for what can go wrong before the server runs.
"""

from __future__ import annotations

import argparse
import errno
import socket
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m engineio_green demo`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=5000, help="0 takes any free one (default: %(default)s)")
    parser.add_argument(
        "--async-mode",
        choices=("gevent", "threading", "eventlet"),
        help="concurrency model (default: gevent where it is installed, else threading)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; 0 then, 1 with a sentence on stderr when it can't be started."""
    from engineio_green.demo import hosts

    mode = arguments.async_mode or hosts.default_mode()
    if mode is None:
        return _refuse("There is no web server for the demo: pip install gevent (or werkzeug, for plain threads).")
    if not hosts.is_installed(mode):
        return _refuse(f"The {mode} demo needs {hosts.REQUIREMENTS[mode]}: pip install {hosts.REQUIREMENTS[mode]}")
    from engineio_green.demo.application import Demo
    from engineio_green.exceptions import DriverError

    try:
        program = Demo(mode)
    except DriverError as error:
        return _refuse(str(error))
    try:
        listener = _listen(arguments.host, arguments.port)
    except OSError as error:
        return _refuse(_explain(error, arguments.host, arguments.port))

    print(f"Engine.IO demo on {mode}: open {_url(listener)} in a browser, end with Ctrl-C.", flush=True)
    hosts.serve(mode, listener, program.application, program.close)
    print("Stopped.", flush=True)
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _url(listener: socket.socket) -> str:
    """What to type into a browser on this machine, also when the server listens on every address."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _explain(error: OSError, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {host}: choose another --host."
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use: choose another --port (0 takes any free one)."
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for the administrator: choose a --port above 1023."
    return f"Can't listen on {host} port {port}: {error.strerror}."


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1
