"""`python -m engineio_green COMMAND`: finds the command and hands over to it.

Owns the list of commands and nothing of what they do: each is a module with `add_arguments(parser)` and `run(arguments)`,
imported here only to be asked, so it keeps its own imports inside `run`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "demo": ("engineio_green.demo.command", "a server with a page that talks to it over both transports"),
    "client": ("engineio_green.client.command", "talks to a server: sends what you type, shows what arrives"),
    "run": ("engineio_green.socketio.command", "runs a program whose Socket.IO package then uses this one, unchanged"),
    "doctor": ("engineio_green.doctor.command", "says what a deployment gets, and what has to change"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process."""
    parser = argparse.ArgumentParser(prog="python -m engineio_green", description="Engine.IO from the command line.")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = importlib.import_module(module)
        own_parser = commands.add_parser(name, help=summary, description=(command.__doc__ or summary).splitlines()[0])
        command.add_arguments(own_parser)
        own_parser.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, what a shell expects of a program that was interrupted


if __name__ == "__main__":
    sys.exit(main())
