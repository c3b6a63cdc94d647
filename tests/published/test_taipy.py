"""Taipy GUI: Flask-SocketIO on gevent's own web server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .application import Application, copy_of
from .environments import Environment
from .windows import Window

# Its Flask-SocketIO (5.4) can't set the session of Flask 3.1.3's context, with any engineio.
ENVIRONMENT = Environment("taipy", ["taipy-gui==4.1.*", "flask<3.1.3"], npm=["mathjax@3.2.2"])
# Its page shows nothing before it has MathJax, from a CDN.
MATHJAX = {"/ajax/libs/mathjax/3.2.2/es5/tex-mml-chtml.js": ENVIRONMENT.node_modules / "mathjax/es5/tex-mml-chtml.js"}


def test_two_windows_are_greeted_and_one_comes_again(
    environment: Environment, open_window: Callable[..., Window], tmp_path: Path
):
    with Application(environment, [copy_of("taipy_greeting.py", tmp_path)], tmp_path) as application:
        one, other = open_window(application.url, MATHJAX), open_window(application.url, MATHJAX)
        for window in (one, other):
            window.wait_for_text("Greeted: 0")
        greet(one, "Ada")
        for window in (one, other):
            window.wait_for_text("Greeted: 1")
        greet(other, "Grace")
        for window in (one, other):
            window.wait_for_text("Greeted: 2")
        assert one.evaluate("document.querySelector('#greeting').innerText") == "Hello, Ada!"  # what is typed is each one's own
        one.reload()
        one.wait_for_text("Greeted: 2")
        one.wait_for_upgrade(2)
        greet(one, " Lovelace")
        other.wait_for_text("Greeted: 3")
        for window in (one, other):
            assert window.complaints() == []
            assert window.wire.has_received("Greeted: 3") or window.wire.has_received('"value":3')
        assert application.interrupt() == 0
    application.check_output()


def greet(window: Window, name: str) -> None:
    window.click("#name")
    window.type(name)
    window.wait_until(f"document.querySelector('#echo').innerText.endsWith({name + '?'!r})")
    window.click("#greet")
    window.wait_until(f"document.querySelector('#greeting').innerText.endsWith({name + '!'!r})")
