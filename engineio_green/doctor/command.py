"""Say what a deployment gets: its transports, its processes, what stands in front of it, and what has to change.

Owns the command's options, what counts as a target, and the exit codes: 0 all is well, 1 something has to change, 2 there is
nothing to examine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from engineio_green.doctor.findings import Report

DEFAULT_PATH = "/engine.io/"
NAMESPACE = r"/[^\s,?\x1e]*"
EXTRA = 'The doctor visits servers with requests and websocket-client: pip install "engineio_green[client]"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m engineio_green doctor`."""
    parser.add_argument(
        "target",
        metavar="URL|MODULE:APP",
        help="https://host[:port][/path], where the path is /engine.io/ or /socket.io/ unless it is named; or a WSGI application "
        "of this folder",
    )
    parser.add_argument("--quick", action="store_true", help="leave out the silence, which lasts as long as the ping interval")
    parser.add_argument("--insecure", action="store_true", help="believe any certificate (SSL_CERT_FILE names one to believe)")
    parser.add_argument(
        "--header", action="append", default=[], type=_header, metavar="'NAME: VALUE'", help="send it along; may be repeated"
    )
    parser.add_argument(
        "--namespace",
        type=_namespace,
        help="connect to this namespace of Socket.IO; without it to / where Socket.IO is known to be spoken, as at /socket.io/",
    )
    parser.add_argument("--auth", type=_json, metavar="JSON", help="what a client of Socket.IO sends to be let in: an object")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")


def run(arguments: argparse.Namespace) -> int:
    """Examine; returns the exit code."""
    from engineio_green.doctor.findings import Report

    try:
        import requests  # noqa: F401  # only to see whether it is there
        import websocket  # noqa: F401  # the same
    except ImportError:
        return _refuse(EXTRA)
    if "://" not in arguments.target:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?", arguments.target):
            return _refuse(f"{arguments.target!r} is neither a URL (http://host:port) nor an application (module:app).")
        return _examine_program(arguments, Report(arguments.target, arguments.json))
    try:
        url = endpoint(arguments.target)
    except ValueError as error:
        return _refuse(str(error))
    named = urlsplit(arguments.target).path.strip("/")
    return _examine_url(arguments, url, Report(url, arguments.json), look_around=not named)


def endpoint(url: str) -> str:
    """The URL of the Engine.IO endpoint. Raises `ValueError` with a sentence."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        known = parts.port is None or parts.port > 0
    except ValueError:
        known = False
    if scheme not in ("http", "https") or not parts.hostname or not known:
        raise ValueError(f"{url!r} is no URL that a client could use: write http://host:port or https://host.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("Name host, port and path only; credentials go into --header 'Authorization: ...'.")
    path = parts.path.rstrip("/")
    return urlunsplit((scheme, parts.netloc, f"{path}/" if path else DEFAULT_PATH, "", ""))


def _examine_url(
    arguments: argparse.Namespace,
    url: str,
    report: Report,
    *,
    site: bool = True,
    look_around: bool = False,
    socketio: bool = False,
) -> int:
    from engineio_green.doctor.checks import Examination, NothingThere
    from engineio_green.doctor.socketio import DEFAULT_PATH as SOCKET_IO_PATH
    from engineio_green.doctor.socketio import Door
    from engineio_green.doctor.wire import Target

    target = Target(url, dict(arguments.header), arguments.insecure)
    other = replace(target, url=urlunsplit(urlsplit(url)._replace(path=SOCKET_IO_PATH))) if look_around else None
    asked = socketio or arguments.namespace is not None or arguments.auth is not None
    door = Door(arguments.namespace or "/", arguments.auth or "") if asked else None
    try:
        Examination(target, report, site=site, quick=arguments.quick, elsewhere=other, door=door).run()
    except NothingThere as error:
        return report.give_up(str(error))
    return report.finish()


def _examine_program(arguments: argparse.Namespace, report: Report) -> int:
    from engineio_green.doctor.program import NotLoaded, judge, loaded

    report.progress("importing the application")
    try:
        with loaded(arguments.target) as program:
            judge(program, report)
            error = program.facts["error"]
            if error:
                return report.give_up(f"{arguments.target} can't be loaded from this folder: {error}")
            if program.url:
                return _examine_url(arguments, program.url, report, site=False, socketio=program.socketio)
    except NotLoaded as error:
        return report.give_up(str(error))
    return report.finish()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or re.search(r"[\r\n\0]", value):
        raise argparse.ArgumentTypeError("a header is written 'Name: value'")
    return name, value.strip()


def _namespace(text: str) -> str:
    name = f"/{text.removeprefix('/')}"
    if not re.fullmatch(NAMESPACE, name):
        raise argparse.ArgumentTypeError("a namespace is written /name")
    return name


def _json(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError("credentials are a JSON object, as '{\"token\": \"...\"}'")
    return json.dumps(found)


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2
