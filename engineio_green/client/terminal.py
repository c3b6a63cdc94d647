"""The terminal client's conversation: lines in, messages out, on a terminal with editing and history, or on pipes.

Owns standard input and output. Must not know options' syntax or exit codes, see `command.py`.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import select
import signal
import sys
import termios
import threading
import time
from types import ModuleType
from typing import Any

from engineio_green.client.client import Client
from engineio_green.exceptions import EngineIOError

# A signal that comes right before the wait for a line is noticed only with the next one.
SIGNAL_SECONDS = 0.05

PROMPT = "> "
CLEAR_LINE = "\r\x1b[K"


class _Ended(Exception):
    """Nothing is to be read any more: raised in the main thread, out of the wait for a line."""


class Conversation:
    """One run of the command."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._client = Client(
            logger=arguments.verbose,
            handle_sigint=False,
            request_timeout=arguments.timeout or None,
            ssl_verify=not arguments.insecure,
        )
        self.received = 0
        self._heard_at = 0.0
        self._lost: str | None = None
        self._input_ended = False
        self._unsent = False  # a line came too late for the connection
        self._leaving = False
        self._reading = False
        self._news = threading.Condition()  # guards all of the above, and the screen
        self._interactive = sys.stdin.isatty()
        self._readline = _load_readline() if self._interactive and sys.stdout.isatty() else None
        self._client.on("message", self._on_message)
        self._client.on("disconnect", self._on_disconnect)

    def connect(self) -> None:
        """Raises as :meth:`Client.connect`."""
        arguments = self._arguments
        self._client.connect(arguments.url, dict(arguments.header), arguments.transport, arguments.path)
        if self._interactive:
            print(f"connected by {self._client.transport()}, Ctrl-D leaves", file=sys.stderr)

    def talk(self) -> bool:
        """Send each line, then wait for answers, then leave. Returns whether the connection was there for all lines."""
        signal.signal(signal.SIGUSR1, self._raise_ended)
        try:
            self._send_lines()
            self._linger()
        except _Ended:
            pass
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            with self._news:
                self._leaving, self._reading = True, False
            self._client.disconnect()
        if self._lost is not None and not self._has_enough() and (self._unsent or not self._at_end()):
            print(f"the connection has ended: {self._lost}", file=sys.stderr)
            return False
        return True

    @property
    def satisfied(self) -> bool:
        """Whether as many messages came as were expected."""
        return self.received >= int(self._arguments.expect)

    def _has_enough(self) -> bool:
        return self.satisfied and int(self._arguments.expect) > 0

    # --- input -----------------------------------------------------------------------------------------------------

    def _send_lines(self) -> None:
        while True:
            with self._news:
                if self._lost is not None or self._has_enough():
                    return
                self._reading = True
            try:
                line = self._read_line()
            finally:
                with self._news:
                    self._reading = False
            if line is None:
                self._input_ended = True
                return
            try:
                self._client.send(line)
            except EngineIOError as error:
                self._unsent = True
                print(error, file=sys.stderr)

    def _at_end(self) -> bool:
        """Whether there are no more lines. Never waits: a goodbye may come before the end of the input was read."""
        if self._input_ended:
            return True
        descriptor = sys.stdin.fileno()
        if not select.select([descriptor], [], [], 0)[0]:
            return False  # more may come
        try:
            waiting = any(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
        except OSError:  # /dev/null
            waiting = False
        return not waiting and not sys.stdin.readline()

    def _read_line(self) -> str | None:
        """Wait for a line; ``None``: there are no more."""
        if self._readline is not None:
            try:
                return input(PROMPT)
            except EOFError:
                print(file=sys.stderr)
                return None
        line = sys.stdin.readline()
        return line.removesuffix("\n") if line else None

    def _linger(self) -> None:
        """Stay until nothing has come for a while, the connection ends, or enough has come."""
        linger = 0.0 if self._interactive else self._arguments.linger
        began = time.monotonic()
        with self._news:
            while self._lost is None and not self._has_enough():
                left = max(began, 0 if self._arguments.expect else self._heard_at) + linger - time.monotonic()
                if left <= 0:
                    return
                self._news.wait(left)

    # --- output ----------------------------------------------------------------------------------------------------

    def _on_message(self, data: Any) -> None:
        with self._news:
            if self._has_enough():
                return
            self.received += 1
            self._heard_at = time.monotonic()
            self._show(_written(data))
            self._news.notify_all()
            if self._has_enough():
                self._interrupt()

    def _on_disconnect(self, reason: str) -> None:
        with self._news:
            if not self._leaving:
                self._lost = reason
                self._interrupt()
            self._news.notify_all()

    def _interrupt(self) -> None:
        """Bring the main thread back from its wait for a line."""
        if self._reading:
            threading.Thread(target=self._keep_interrupting, daemon=True).start()

    def _keep_interrupting(self) -> None:
        while self._reading:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            time.sleep(SIGNAL_SECONDS)

    def _raise_ended(self, number: int, frame: Any) -> None:
        if self._reading:
            self._reading = False
            raise _Ended

    def _show(self, text: str) -> None:
        """Print a line; one that is being typed moves below it."""
        if self._readline is None or not self._reading:
            print(text, flush=True)
            return
        typed = self._readline.get_line_buffer()
        sys.stdout.write(f"{CLEAR_LINE}{text}\n{PROMPT}{typed}")
        sys.stdout.flush()


def _load_readline() -> ModuleType | None:
    """Its import gives `input()` editing and history."""
    try:
        import readline
    except ImportError:
        return None
    return readline


def _written(data: Any) -> str:
    """A message as one line, without what could steer the terminal."""
    if isinstance(data, bytes):
        shown = f"<{len(data)} bytes>"
        return f"{shown} {data.hex(' ')}" if data else shown
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\t" else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
