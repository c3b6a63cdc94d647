"""`python -m engineio_green client` as its users run it: from a script with pipes, and on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from scenarios.waiting import wait_until

from .conftest import url_of
from .middleman import Middleman

COMMAND = [sys.executable, "-m", "engineio_green", "client"]
DONE, NO_CONNECTION, USAGE, LOST, TOO_FEW, INTERRUPTED = 0, 1, 2, 3, 4, 130


def run(*arguments: str, lines: str = "") -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    done = subprocess.run([*COMMAND, *arguments], input=lines, capture_output=True, text=True, timeout=30)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("transport", ["polling", "websocket", None])
def test_lines_from_a_pipe_are_sent_and_what_comes_back_is_printed(server, transport):
    chosen = ["--transport", transport] if transport else []
    lines = "hello\n\nä€ 😀\n" + '{"a": [1, "ö"]}\n' + "last"
    assert run(url_of(server), *chosen, "--expect", "5", "--linger", "20", lines=lines) == (
        DONE,
        'hello\n\nä€ 😀\n{"a":[1,"ö"]}\nlast\n',
        "",
    )


def test_it_stays_for_answers_as_long_as_they_come(server):
    code, out, _ = run(url_of(server), "--linger", "0.6", lines='{"cmd": "ticker", "n": 4, "interval": 0.2}\n')
    assert (code, out) == (DONE, "tick 0\ntick 1\ntick 2\ntick 3\n")


def test_what_is_not_text_is_shown_so_that_it_steers_no_terminal(server):
    lines = '{"cmd": "send_binary", "n": 3}\na\x1b[2Jb\x07\n'
    code, out, _ = run(url_of(server), "--expect", "2", "--linger", "20", lines=lines)
    assert (code, out) == (DONE, "<3 bytes> 00 01 02\na\\x1b[2Jb\\x07\n")


def test_fewer_messages_than_expected_are_an_error(server):
    code, out, err = run(url_of(server), "--expect", "2", "--linger", "0.3", lines="x\n")
    assert (code, out) == (TOO_FEW, "x\n")
    assert "1 of 2" in err


def test_no_connection_is_an_error_with_the_reason(server):
    assert run(f"{url_of(server)}/?reject=dict")[0::2] == (
        NO_CONNECTION,
        'the server refused the connection (HTTP 401): {"why":"no ticket"}\n',
    )
    code, _, err = run("http://127.0.0.1:1")
    assert (code, err) == (NO_CONNECTION, "127.0.0.1:1: nothing listens there (connection refused)\n")
    assert run("nonsense")[0] == NO_CONNECTION


@pytest.mark.parametrize(
    "arguments", [[], ["--header", "nonsense"], ["--linger", "-1"], ["--expect", "x"], ["--transport", "pigeon"]]
)
def test_wrong_command_line_is_an_error(arguments):
    assert run(*([*arguments, "http://h"] if arguments else []))[0] == USAGE


def test_help_tells_the_exit_codes():
    code, out, _ = run("--help")
    assert code == DONE
    assert all(f"\n  {number} " in out for number in (DONE, NO_CONNECTION, USAGE, LOST, TOO_FEW, INTERRUPTED))


def test_headers_are_sent_and_the_path_is_used(server):
    with Middleman(server.port) as path:
        run(path.url, "--header", "X-A: 1", "--header", "X-B:2", "--path", "/engine.io", "--expect", "1", lines="x\n")
        assert all(b"X-A: 1" in head and b"X-B: 2" in head for head in path.requests)


def test_insecure_accepts_any_certificate(server, tls_context):
    with Middleman(server.port, tls=tls_context) as path:
        assert run(path.url, "--transport", "websocket")[0] == NO_CONNECTION
        code, out, _ = run(path.url, "--transport", "websocket", "--insecure", "--expect", "1", lines="x\n")
    assert (code, out) == (DONE, "x\n")


def test_connection_that_ends_before_the_input_is_an_error(server):
    with subprocess.Popen([*COMMAND, url_of(server)], stdin=-1, stdout=-1, stderr=-1, text=True) as child:
        assert child.stdin
        child.stdin.write('{"cmd": "disconnect", "n": 1}\n')
        child.stdin.flush()
        assert child.wait(20) == LOST  # although the input is still open
        assert child.stdout
        assert child.stderr
        assert (child.stdout.read(), child.stderr.read()) == ("0:\n", "the connection has ended: server disconnect\n")


def test_goodbye_of_the_server_after_the_last_line_is_no_error(server):
    code, out, err = run(url_of(server), "--linger", "20", lines='{"cmd": "disconnect", "n": 1}\n')
    assert (code, out, err) == (DONE, "0:\n", "")


SLOW_READER = """
import sys, time
from engineio_green.__main__ import main

class SlowInput:
    isatty, fileno, lines = sys.stdin.isatty, sys.stdin.fileno, 0
    def readline(self):
        self.lines += 1
        if self.lines == 2:
            time.sleep(20)
        return real.readline()

real, sys.stdin = sys.stdin, SlowInput()
sys.exit(main(["client", sys.argv[1]]))
"""


@pytest.mark.parametrize(("more", "expected"), [("", DONE), ("more\n", LOST)])
def test_goodbye_before_the_end_of_the_input_was_read_is_no_error_either(server, more, expected):
    command = [sys.executable, "-c", SLOW_READER, url_of(server)]
    lines = '{"cmd": "disconnect", "n": 1}\n' + more
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (expected, "0:\n"), done.stderr


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", INPUTRC="/dev/null")
            os.execv(sys.executable, [*COMMAND, *arguments])
        os.set_blocking(self._fd, False)
        self.screen = ""

    def wait_for(self, text: str) -> None:
        def look() -> bool:
            with contextlib.suppress(OSError):
                self.screen += os.read(self._fd, 65536).decode()
            return text in self.screen

        try:
            wait_until(look, f"{text!r} on the terminal", 20)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen!r}") from None
        self.screen = self.screen.partition(text)[2]

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait(self) -> int:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.screen += os.read(self._fd, 65536).decode()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self._fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"it did not end: {self.screen!r}")


def test_terminal_has_line_editing_history_and_messages_above_the_line_that_is_typed(server):
    terminal = Terminal(url_of(server))
    terminal.wait_for("connected by ")
    terminal.wait_for("> ")
    terminal.type("helo\x1b[Dl\r")  # cursor left, then the missing letter
    terminal.wait_for("hello\r\n> ")  # what came back, and the prompt below it
    terminal.type("\x1b[A!\r")  # the last line again
    terminal.wait_for("hello!\r\n")
    terminal.wait_for("hello!\r\n> ")
    terminal.type('{"cmd": "ticker", "n": 3, "interval": 0.3}\r')
    terminal.wait_for("tick 0")
    terminal.type("being typed")
    terminal.wait_for("tick 2\r\n> being typed")
    terminal.type("\x15\x04")  # take it back, leave
    assert terminal.wait() == DONE


def test_terminal_gives_the_line_back_when_the_server_has_gone(server):
    terminal = Terminal(url_of(server))
    terminal.wait_for("> ")
    terminal.type('{"cmd": "disconnect"}\r')
    assert terminal.wait() == LOST
    assert "server disconnect" in terminal.screen


def test_interrupt_ends_it_and_says_goodbye(server):
    terminal = Terminal(url_of(server))
    terminal.wait_for("> ")
    terminal.type('{"cmd": "tell_transport"}\r')
    terminal.wait_for("websocket\r\n")
    terminal.type("\x03")
    assert terminal.wait() == INTERRUPTED
    assert "Traceback" not in terminal.screen
