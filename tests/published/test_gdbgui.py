"""gdbgui, a debugger: Flask-SocketIO on eventlet, which it has as a dependency only, with polling and nothing else.

It needs the programs gdb and gcc.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .application import Application
from .environments import Environment
from .windows import Window

ENVIRONMENT = Environment("gdbgui", ["gdbgui==0.15.*"])
SOURCE = """\
int main(void)
{
    int sum = 0;
    for (int i = 1; i <= 4; i++)
        sum += i * i;
    return sum;
}
"""
LOCALS = "document.querySelector('#locals').innerText.match(/sum\\s+(\\d+)/)?.[1]"


@pytest.fixture
def debugged(tmp_path: Path) -> Path:
    """A program with what a debugger wants to know of it."""
    for tool in ("gcc", "gdb"):
        if shutil.which(tool) is None:
            pytest.fail(f"gdbgui needs {tool}: apt-get install {tool}", pytrace=False)
    (tmp_path / "squares.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O0", "-o", "squares", "squares.c"], cwd=tmp_path, check=True, timeout=60)
    return tmp_path / "squares"


def test_two_windows_debug_one_program_and_one_comes_again(
    environment: Environment, open_window: Callable[..., Window], debugged: Path
):
    command = ["gdbgui", "--no-browser", "--port", "{port}", "--args", str(debugged)]
    with Application(environment, command, debugged.parent, DEBUGINFOD_URLS="") as application:
        one = open_window(application.url)
        one.click_text("Dismiss")  # a guide
        session = start(one)
        other = open_window(f"{application.url}?gdbpid={session}")
        assert session_of(other) == session
        other.click_text("Dismiss")
        for line in (4, 5, 4):
            one.click("#next_button")
            for window in (one, other):
                window.wait_for_text(f"squares.c:{line}")
        for window in (one, other):
            window.wait_until(f"{LOCALS} === '1'")
        enter(other, "next")
        enter(other, "set variable sum = 70")
        enter(other, "next")
        for window in (one, other):
            window.wait_until(f"{LOCALS} === '74'")
        one.reload()
        assert start(one) != session
        for window in (one, other):
            assert window.complaints() == []
            assert window.wire.polls
            assert window.wire.websockets == []
    application.check_output()


def start(window: Window) -> int:
    """Start the program, which stops in its first line, and return the session's number."""
    session = session_of(window)
    window.wait_for_text("squares.c:3")
    window.click("#run_button")
    window.wait_for_text("debug program (pid")
    window.wait_until("/stopped/.test(document.body.innerText)")
    return session


def session_of(window: Window) -> int:
    return int(window.wait_until("document.body.innerText.match(/gdb \\(pid (\\d+)\\)/)?.[1]"))


def enter(window: Window, command: str) -> None:
    """Type a command into gdb's own terminal."""
    window.click("#bottom_content .xterm-screen")
    window.type(f"{command}\n")
