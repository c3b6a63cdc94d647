"""The demo as a user meets it: the real command, its terminal, its page in a real browser."""

from __future__ import annotations

import configparser
import fnmatch
import socket
import sys
from collections.abc import Iterator

import pytest
from browser import Tab, browser, open_tab
from interop.chromium import Browser
from programs import ROOT, Program, WebSocketSession, free_port, supported_modes

from engineio_green import demo

COMMAND = [sys.executable, "-m", "engineio_green", "demo"]
MODES = supported_modes()
__all__ = ["browser"]  # a fixture
PANEL = "document.querySelector('[data-session={}]').dataset"


def url_of(program: Program) -> str:
    return program.wait_for_output(r"open (http://\S+/) in a browser")[1]


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with open_tab(browser) as opened:
        yield opened


@pytest.mark.parametrize("mode", MODES)
def test_page_measures_both_transports_and_terminal_tells_each_event(mode: str, tab: Tab):
    with Program([*COMMAND, "--port", "0", "--async-mode", mode]) as program:
        tab.open(url_of(program))
        for session in ("polling", "websocket"):
            tab.wait_until(f"Number({PANEL.format(session)}.samples) >= 20")
            assert tab.evaluate(f"{PANEL.format(session)}.state") == "open"
            assert tab.evaluate(f"{PANEL.format(session)}.transport") == session
            assert tab.evaluate(f"({painted})('{session}')") > 30
        assert mode in tab.evaluate("document.querySelector('#server').textContent")
        program.wait_for_output(r"^\d\d:\d\d:\d\d  \S{6}  messages    \d+/s by websocket$")
        assert tab.complaints() == []
        tab.open("about:blank")
        for line in (
            r"connect     polling from 127\.0\.0\.1",
            r"upgrade     polling to websocket",
            r"messages    \d+/s by polling",
            r"disconnect  .+, after \d+ messages",
        ):
            program.wait_for_output(rf"^\d\d:\d\d:\d\d  \S{{6}}  {line}$")
        assert program.interrupt() == 0
        assert program.output.endswith("Stopped.\n")
        assert "Traceback" not in program.output


# How many points of a session's chart carry the transport's colour, which nothing but the line does.
painted = """(session) => {
    const canvas = document.querySelector(`[data-session=${session}] canvas`);
    const probe = document.createElement('canvas').getContext('2d');
    probe.fillStyle = getComputedStyle(canvas).getPropertyValue('--' + session).trim();
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    const found = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 0; i < found.length; i += 4) {
        const near = [0, 1, 2].every((part) => Math.abs(found[i + part] - wanted[part]) < 24);
        if (near && found[i + 3] > 150) count += 1;
    }
    return count;
}"""


def test_page_comes_back_after_a_restart_of_the_server(tab: Tab):
    port = free_port()
    with Program([*COMMAND, "--port", str(port)]) as first:
        tab.open(url_of(first))
        tab.wait_until(f"{PANEL.format('websocket')}.transport === 'websocket'")
        assert first.interrupt() == 0
        assert "disconnect  server disconnect" in first.output
    for session in ("polling", "websocket"):
        tab.wait_until(f"{PANEL.format(session)}.state !== 'open'")
    with Program([*COMMAND, "--port", str(port)]) as second:
        url_of(second)
        for session in ("polling", "websocket"):
            tab.wait_until(f"{PANEL.format(session)}.transport === '{session}'")


def test_button_stops_and_starts_both_sessions(tab: Tab):
    with Program([*COMMAND, "--port", "0"]) as program:
        tab.open(url_of(program))
        for session in ("polling", "websocket"):
            tab.wait_until(f"Number({PANEL.format(session)}.samples) > 0")
        for state in ("stopped", "open", "stopped"):
            tab.evaluate("document.querySelector('#toggle').click()")
            for session in ("polling", "websocket"):
                tab.wait_until(f"{PANEL.format(session)}.state === '{state}'")
        program.wait_for_output(r"(disconnect  client disconnect(.|\n)*){2}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_page_fits_a_desk_and_a_phone_in_both_colour_schemes(width: int, dark: bool, tab: Tab):
    with Program([*COMMAND, "--port", "0"]) as program:
        tab.resize(width, 800, dark)
        tab.open(url_of(program))
        tab.wait_until(f"Number({PANEL.format('polling')}.samples) > 0")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        brightness = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(brightness) < 128) == dark


def test_port_in_use_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Program([*COMMAND, "--port", str(port)]) as program:
            assert program.wait() == 1
    assert program.output == f"Port {port} of 127.0.0.1 is in use: choose another --port (0 takes any free one).\n"


def test_address_of_another_machine_is_a_sentence():
    with Program([*COMMAND, "--port", "0", "--host", "192.0.2.1"]) as program:
        assert program.wait() == 1
    assert program.output == "This machine has no address 192.0.2.1: choose another --host.\n"


def test_missing_web_server_is_a_sentence():
    blocked = "import sys; sys.modules.update(gevent=None, werkzeug=None); "
    blocked += "from engineio_green.__main__ import main; sys.exit(main(['demo', '--port', '0']))"
    with Program([sys.executable, "-c", blocked]) as program:
        assert program.wait() == 1
    assert "pip install gevent" in program.output
    assert "Traceback" not in program.output


def test_wrong_port_is_a_usage_error():
    with Program([*COMMAND, "--port", "70000"]) as program:
        assert program.wait() == 2
    assert "a port is a number from 0 to 65535" in program.output


@pytest.mark.parametrize("mode", MODES)
def test_interrupt_under_load_leaves_no_traceback(mode: str):
    with Program([*COMMAND, "--port", "0", "--async-mode", mode]) as program:
        session = WebSocketSession(url_of(program))
        for number in range(500):
            session.send(str(number))
        assert program.interrupt() == 0
    assert "Traceback" not in program.output
    assert "disconnect  server disconnect" in program.output


def test_every_file_of_the_demo_is_packaged():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["engineio_green"].split()
    files = [f"demo/{path.name}" for path in demo.FOLDER.iterdir() if path.suffix in {".html", ".css", ".js"}]
    assert len(files) == len(demo.STATIC_FILES)
    assert [name for name in files if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []
