"""Talk to an Engine.IO server from a terminal: each line typed is a message, what arrives is shown; Ctrl-D leaves.

Owns the command's options and its exit codes. The conversation is in `terminal.py`.
"""

from __future__ import annotations

import argparse
import sys

# Exit codes, for scripts.
DONE, NO_CONNECTION, LOST, TOO_FEW = 0, 1, 3, 4

EXIT_CODES = """\
exit codes:
  0    all lines were sent, and the messages that --expect asks for came
  1    no connection: the reason is on stderr
  2    the command line is wrong
  3    the connection ended before the input did
  4    fewer messages came than --expect asks for
  130  interrupted

The input is read from a pipe as well: `echo hello | python -m engineio_green client URL` prints what comes back. Received
messages go to stdout, one per line (JSON as JSON, binary as `<3 bytes> 00 ff 10`), all else to stderr.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m engineio_green client`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXIT_CODES
    parser.add_argument("url", metavar="URL", help="http://host:port or https://...; a query is kept")
    parser.add_argument("--path", default="engine.io", help="where the server is mounted (default: %(default)s)")
    parser.add_argument(
        "--transport", choices=("polling", "websocket"), help="only this one (default: polling, then an upgrade)"
    )
    parser.add_argument(
        "--header", action="append", default=[], type=_header, metavar="'NAME: VALUE'", help="sent with each request; repeatable"
    )
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")
    parser.add_argument("--timeout", type=_seconds, default=5.0, help="for each answer, in seconds (default: %(default)s)")
    parser.add_argument(
        "--linger", type=_seconds, default=1.0, metavar="SECONDS", help="stay so long after the last line (default: %(default)s)"
    )
    parser.add_argument(
        "--expect", type=_count, default=0, metavar="COUNT", help="leave once so many have come; --linger is how long to wait"
    )
    parser.add_argument("--verbose", action="store_true", help="log what happens, to stderr")


def run(arguments: argparse.Namespace) -> int:
    """Talk until the input, the connection or the user's patience ends."""
    from engineio_green.client.terminal import Conversation
    from engineio_green.exceptions import ConnectionError

    try:
        conversation = Conversation(arguments)
        conversation.connect()
    except (ConnectionError, ImportError, ValueError) as error:
        print(error, file=sys.stderr)
        return NO_CONNECTION
    if not conversation.talk():
        return LOST
    if not conversation.satisfied:
        print(f"{conversation.received} of {arguments.expect} expected messages came", file=sys.stderr)
        return TOO_FEW
    return DONE


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError("a header is written 'Name: value'")
    return name.strip(), value.strip()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("a time is a number of seconds, 0 or more")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("a count is a whole number")
    return int(text)
