"""pyxtermjs, a terminal: Flask-SocketIO of 2021 on threads and Werkzeug's server of the same year."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .application import Application
from .environments import Environment
from .windows import Window

ENVIRONMENT = Environment(
    "pyxtermjs",
    ["pyxtermjs==0.5.*"],
    npm=[
        "xterm@4.11.0",
        "xterm-addon-fit@0.5.0",
        "xterm-addon-web-links@0.4.0",
        "xterm-addon-search@0.8.0",
        "socket.io-client@4.0.1",
    ],
)
# Its page has these from two CDNs, which serve what is in the packages.
FILES = {
    "/ajax/libs/socket.io/4.0.1/socket.io.min.js": "socket.io-client/dist/socket.io.min.js",
    "/xterm-addon-fit@0.5.0/lib/xterm-addon-fit.js": "xterm-addon-fit/lib/xterm-addon-fit.js",
    "/xterm-addon-search@0.8.0/lib/xterm-addon-search.js": "xterm-addon-search/lib/xterm-addon-search.js",
    "/xterm-addon-web-links@0.4.0/lib/xterm-addon-web-links.js": "xterm-addon-web-links/lib/xterm-addon-web-links.js",
    "/xterm@4.11.0/css/xterm.css": "xterm/css/xterm.css",
    "/xterm@4.11.0/lib/xterm.js": "xterm/lib/xterm.js",
}
# The page draws its text on a canvas; this is what the text is drawn from.
LINES = "Array.from({length: term.buffer.active.length}, (_, i) => term.buffer.active.getLine(i).translateToString(true))"


def test_two_windows_share_a_shell_and_one_comes_again(
    environment: Environment, open_window: Callable[..., Window], tmp_path: Path
):
    files = {path: ENVIRONMENT.node_modules / file for path, file in FILES.items()}
    with Application(environment, ["pyxtermjs", "--port", "{port}", "--cmd-args=--norc"], tmp_path) as application:
        one, other = open_window(application.url, files), open_window(application.url, files)
        for window in (one, other):
            window.wait_for_text("status: connected")
            window.wait_for_upgrade()
        enter(one, "echo $((6 * 7)) > answer; cat answer")
        for window in (one, other):
            wait_for_line(window, "42")
        assert (tmp_path / "answer").read_text() == "42\n"
        enter(other, "printf '%s-' {a..e}; echo")
        for window in (one, other):
            wait_for_line(window, "a-b-c-d-e-")
        one.reload()
        one.wait_for_text("status: connected")
        one.wait_for_upgrade(2)
        enter(one, "seq 3 | tac | tr -d '\\n'; echo")
        for window in (one, other):
            wait_for_line(window, "321")
            assert window.complaints() == []
            assert window.wire.has_received("321")
        assert application.interrupt() == 0
    application.check_output()


def enter(window: Window, command: str) -> None:
    window.click("#terminal .xterm-screen")
    window.type(f"{command}\n")


def wait_for_line(window: Window, line: str) -> None:
    window.wait_until(f"{LINES}.includes({line!r})")
