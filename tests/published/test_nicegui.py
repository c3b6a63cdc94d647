"""NiceGUI: python-socketio's AsyncServer below FastAPI on uvicorn, in the child process of a reloader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .application import Application, copy_of
from .environments import Environment
from .windows import Window

ENVIRONMENT = Environment("nicegui", ["nicegui==3.18.*"])


def start(environment: Environment, folder: Path, **variables: str) -> Application:
    return Application(environment, [copy_of("nicegui_chat.py", folder)], folder, **variables)


@pytest.mark.parametrize("transports", ["", "polling websocket", "polling"])
def test_two_windows_talk_and_one_comes_again(
    transports: str, environment: Environment, open_window: Callable[..., Window], tmp_path: Path
):
    with start(environment, tmp_path, TRANSPORTS=transports) as application:
        one, other = open_window(application.url), open_window(application.url)
        for window in (one, other):
            wait_for_connection(window)
        if transports == "polling websocket":
            one.wait_for_upgrade()
        one.click("input")
        one.type("good morning\n")
        for window in (one, other):
            window.wait_for_text("1: good morning")
        other.click("input")
        other.type("hello")
        other.click_text("Say it")
        for window in (one, other):
            window.wait_for_text("2: hello")
        one.reload()
        wait_for_connection(one)
        one.wait_for_text("2: hello")
        one.click_text("Measure")
        one.wait_for_text("This window is 1200 wide")
        one.click("input")
        one.type("again\n")
        for window in (one, other):
            window.wait_for_text("3: again")
        if transports == "polling websocket":
            one.wait_for_upgrade(2)
        for window in (one, other):
            assert window.complaints() == []
            assert bool(window.wire.polls) == ("polling" in transports)
            assert bool(window.wire.websockets) == (transports != "polling")
            assert window.wire.has_received("3: again") == (transports != "polling")
        assert application.interrupt() == 0
    application.check_output()


def test_open_page_follows_a_change_of_the_program(environment: Environment, open_window: Callable[..., Window], tmp_path: Path):
    with start(environment, tmp_path) as application:
        window = open_window(application.url)
        window.wait_for_text("SAY IT")
        program = tmp_path / "nicegui_chat.py"
        program.write_text(program.read_text().replace("Say it", "Tell it"))
        window.wait_for_text("TELL IT")
        wait_for_connection(window)
        window.click("input")
        window.type("still here")
        window.click_text("Tell it")
        window.wait_for_text("1: still here")
        assert application.interrupt() == 0
    application.check_output()


def wait_for_connection(window: Window) -> None:
    """What is typed before may come behind what is clicked, with any engineio."""
    window.wait_until("window.socket?.connected")
