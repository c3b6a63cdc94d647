"""Chainlit: python-socketio's AsyncServer in a FastAPI application that a console script starts on uvicorn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .application import Application, copy_of
from .environments import Environment
from .windows import Window

ENVIRONMENT = Environment("chainlit", ["chainlit==2.12.*"])


def test_two_users_talk_to_a_bot_and_one_comes_again(
    environment: Environment, open_window: Callable[..., Window], tmp_path: Path
):
    command = ["chainlit", "run", copy_of("chainlit_bot.py", tmp_path), "--headless", "--host", "127.0.0.1", "--port", "{port}"]
    with Application(environment, command, tmp_path) as application:
        one, other = open_window(application.url), open_window(application.url)
        for window in (one, other):
            window.wait_for_text("Say something.")
        ask(one, "good morning", "Number 1: GOOD MORNING")
        ask(other, "hello", "Number 1: HELLO")  # each has a session of its own
        ask(one, "and then", "Number 2: AND THEN")
        one.click_text("Louder")
        one.wait_for_text("GOOD MORNING!!!")
        one.reload()
        one.wait_for_text("Say something.")
        ask(one, "once more", "Number 1: ONCE MORE")
        one.wait_for_upgrade(2)
        for window, answer in ((one, "ONCE"), (other, "HELLO")):
            assert window.complaints() == []
            assert window.wire.has_received(answer)
        assert application.interrupt() == 0
    application.check_output()


def ask(window: Window, text: str, answer: str) -> None:
    window.click("#chat-input")
    window.type(f"{text}\n")
    window.wait_for_text(answer)
