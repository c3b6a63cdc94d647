"""The chat on Flask-SocketIO in a real browser: two windows in a room, a restart of the server, its looks, and its refusals."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio
from browser import Tab, browser, open_tab
from interop.chromium import Browser
from interop.toolchain import ToolMissing, install_client
from programs import ROOT, Program, free_port, gunicorn_arguments, supported_modes

__all__ = ["browser"]  # a fixture

EXAMPLES = ROOT / "examples"
GET_CLIENT = "npm install --prefix examples"
EXAMPLE = f"{sys.executable} examples/flask_socketio_chat.py --async-mode {{mode}} --port {{port}}"
GUNICORN = "gunicorn -k gevent -w 1 examples.flask_socketio_chat:app"
MODES = supported_modes()
OPEN = "document.querySelector('#state').textContent === 'connected by websocket'"
LINES = "[...document.querySelectorAll('#messages li')].map((line) => [line.className, line.innerText])"


@pytest.fixture(autouse=True, scope="module")
def _client() -> None:
    try:
        install_client(print, EXAMPLES, "socket.io-client")
    except ToolMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@contextmanager
def running(command: str, port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}/"
    with Program(command, {"GUNICORN_CMD_ARGS": gunicorn_arguments(port), "ASYNC_MODE": "gevent"}) as program:
        program.wait_for_answer(url)
        yield url
    assert "Traceback" not in program.output, program.output


def write(tab: Tab, form: str, **fields: str) -> None:
    """Fill a form's fields and press its button."""
    for name, value in fields.items():
        tab.evaluate(f"document.querySelector('#{name}').value = {json.dumps(value)}")
    tab.evaluate(f"document.querySelector('#{form} button').click()")


def enter(tab: Tab, url: str, name: str, room: str) -> None:
    tab.open(url)
    tab.wait_until(OPEN)
    write(tab, "join", name=name, room=room)
    tab.wait_until(f"document.querySelector('#title').textContent === {json.dumps(f'Chat: {room}')}")


def wait_for_line(tab: Tab, kind: str, *words: str) -> None:
    """A line of this class; its own lines are the author and the text."""
    wanted = json.dumps([kind, "\n".join(words)])
    tab.wait_until(f"{LINES}.some((line) => JSON.stringify(line) === JSON.stringify({wanted}))")


def wait_for_people(tab: Tab, *names: str) -> None:
    shown = "[...document.querySelectorAll('#people li')].map((person) => person.textContent)"
    tab.wait_until(f"JSON.stringify({shown}) === JSON.stringify({json.dumps(names)})")


@pytest.mark.parametrize("mode", MODES)
def test_two_windows_chat_in_a_room_and_go_on_after_a_restart_of_the_server(mode: str, browser: Browser):
    port = free_port()
    command = EXAMPLE.format(mode=mode, port=port)
    with open_tab(browser) as ann, open_tab(browser) as bob, open_tab(browser) as eve:
        with running(command, port) as url:
            enter(ann, url, "Ann", "tea")
            write(ann, "say", text="early")
            wait_for_line(ann, "mine", "Ann", "early")
            enter(bob, url, "Bob", "tea")
            enter(eve, url, "Eve", "elsewhere")
            wait_for_line(bob, "", "Ann", "early")  # the room's history
            wait_for_line(ann, "event", "Bob has joined")
            for tab in (ann, bob):
                wait_for_people(tab, "Ann", "Bob")
            write(bob, "say", text="good morning")
            wait_for_line(bob, "mine", "Bob", "good morning")
            wait_for_line(ann, "", "Bob", "good morning")
            before = ann.evaluate(LINES)
        for tab in (ann, bob):
            tab.wait_until("document.querySelector('#state').textContent === 'no connection, trying again'")
            assert tab.evaluate("document.querySelector('#say button').disabled")
        with running(command, port):
            for tab in (ann, bob):
                wait_for_line(tab, "event", "You are back")
                wait_for_people(tab, "Ann", "Bob")
                tab.wait_until(OPEN)
            write(ann, "say", text="still here")
            wait_for_line(bob, "", "Ann", "still here")
            assert ann.evaluate(LINES)[: len(before)] == before
            bob.open("about:blank")
            wait_for_line(ann, "event", "Bob has left")
            wait_for_people(ann, "Ann")
            eve.wait_until(OPEN)
            assert [line for line in eve.evaluate(LINES) if line[0] != "event"] == []
            assert [*ann.exceptions(), *eve.exceptions()] == []


def test_a_page_that_comes_back_from_the_browsers_cache_is_in_its_room_again_and_shows_no_message_twice(browser: Browser):
    port = free_port()
    with running(EXAMPLE.format(mode="threading", port=port), port) as url, open_tab(browser) as ann, open_tab(browser) as bob:
        enter(ann, url, "Ann", "tea")
        enter(bob, url, "Bob", "tea")
        write(bob, "say", text="before")
        wait_for_line(ann, "", "Bob", "before")
        # What the browser tells a page that it puts away, and one that it takes out again.
        bob.evaluate("void dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        wait_for_line(ann, "event", "Bob has left")
        write(ann, "say", text="meanwhile")
        wait_for_line(ann, "mine", "Ann", "meanwhile")
        bob.evaluate("void dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        wait_for_line(bob, "event", "You are back")
        spoken = [line for line in bob.evaluate(LINES) if line[0] != "event"]
        assert spoken == [["mine", "Bob\nbefore"], ["", "Ann\nmeanwhile"]]


def test_started_by_gunicorn_as_its_docstring_says(browser: Browser):
    with running(GUNICORN, free_port()) as url, open_tab(browser) as ann:
        enter(ann, url, "Ann", "tea")
        write(ann, "say", text="by gunicorn")
        wait_for_line(ann, "mine", "Ann", "by gunicorn")
        assert ann.complaints() == []


def test_what_users_type_is_shown_as_text_and_nothing_is_not_sent(browser: Browser):
    port = free_port()
    markup = "<img src=x onerror='window.hit = 1'><b>bold</b>"
    with running(EXAMPLE.format(mode="threading", port=port), port) as url, open_tab(browser) as ann, open_tab(browser) as bob:
        enter(ann, url, "<i>Ann</i>", "<u>tea</u>")
        enter(bob, url, "Bob", "<u>tea</u>")
        write(ann, "say", text="   ")
        assert ann.evaluate("document.querySelector('#text').value") == "   "  # what is sent is taken out of the field
        write(ann, "say", text=markup)
        wait_for_line(bob, "", "<i>Ann</i>", markup)
        wait_for_people(bob, "<i>Ann</i>", "Bob")
        for tab in (ann, bob):
            assert tab.evaluate("[...document.querySelectorAll('li:not(.event)')].length") == 3  # two people, one message
            assert tab.evaluate("document.querySelector('img, i, u, li b b') === null && window.hit === undefined")
            assert tab.complaints() == []


def test_a_name_is_needed_and_the_refusal_is_told(browser: Browser):
    port = free_port()
    with running(EXAMPLE.format(mode="threading", port=port), port) as url, open_tab(browser) as tab:
        tab.open(url)
        tab.wait_until(OPEN)
        write(tab, "join", name="  ", room="tea")
        tab.wait_until("document.querySelector('#trouble').textContent === 'A name and a room are needed.'")
        assert tab.evaluate("document.querySelector('#say').hidden")
        write(tab, "join", name="Ann")
        tab.wait_until("document.querySelector('#trouble').textContent === '' && !document.querySelector('#say').hidden")


# Every field and button has a name for who does not see it, and what comes in by itself is announced.
ACCESSIBLE = """[
    [...document.querySelectorAll('input')].every((field) => field.labels.length === 1 && field.labels[0].innerText.trim()),
    [...document.querySelectorAll('button')].every((button) => button.textContent.trim()),
    document.querySelector('#messages').getAttribute('aria-live') === 'polite',
    document.querySelector('#state').getAttribute('role') === 'status',
    document.querySelector('#trouble').getAttribute('role') === 'alert',
    document.querySelector('#people').getAttribute('aria-label') !== null,
    document.documentElement.lang === 'en',
    document.activeElement.id === 'text',
]"""
# WCAG's contrast of each text to what lies behind it: 4.5 is wanted of small text.
CONTRAST = """(() => {
    const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === 'rgba(0, 0, 0, 0)' ? ground(element.parentElement) : colour;
    };
    const looked = [...document.querySelectorAll('h1, #state, #people li, #messages li, #messages b, label, input, button')]
        .filter((element) => element.offsetParent);
    return Math.min(...looked.map((element) => {
        const [low, high] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    }));
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 640)], ids=["desk", "phone"])
def test_page_fits_a_desk_and_a_phone_in_both_colour_schemes(
    width: int, height: int, dark: bool, browser: Browser, tmp_path: Path
):
    port = free_port()
    with running(EXAMPLE.format(mode="threading", port=port), port) as url, open_tab(browser) as ann, open_tab(browser) as bob:
        ann.resize(width, height, dark)
        ann.open(url)
        ann.wait_until(OPEN)
        fits = "document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight"
        assert ann.evaluate(fits)
        ann.screenshot(tmp_path / "join.png")
        enter(ann, url, "Ann", "tea")
        enter(bob, url, "Bob" + "b" * 27, "tea")
        for number in range(15):
            write(bob, "say", text=f"{number} " + "a long word: " + "x" * 80)
            wait_for_line(ann, "", "Bob" + "b" * 27, f"{number} " + "a long word: " + "x" * 80)
        write(ann, "say", text="I see.")
        wait_for_line(ann, "mine", "Ann", "I see.")
        ann.screenshot(tmp_path / "chat.png")
        assert ann.evaluate(fits)
        assert ann.evaluate("document.querySelector('#messages').scrollWidth <= document.querySelector('#messages').clientWidth")
        last = "document.querySelector('#messages').lastChild.getBoundingClientRect().bottom"
        assert ann.evaluate(f"{last} <= document.querySelector('#messages').getBoundingClientRect().bottom")
        brightness = ann.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(brightness) < 128) == dark
        assert ann.evaluate(ACCESSIBLE) == [True] * 8
        bob.wait_until("!document.querySelector('#say button').disabled")
        assert ann.evaluate(CONTRAST) >= 4.5


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_the_server_refuses_what_a_page_would_not_send(transport: str):
    port = free_port()
    with (
        running(EXAMPLE.format(mode="threading", port=port), port) as url,
        socketio.SimpleClient() as client,
        socketio.SimpleClient() as other,
    ):
        client.connect(url, transports=[transport])
        other.connect(url, transports=[transport])
        assert "error" in client.call("say", "before the first room")
        wrong: list[Any] = [None, "Ann", {"name": "Ann"}, {"name": 1, "room": 2}, {"name": " ", "room": "tea"}]
        for data in wrong:
            assert "error" in client.call("join", data)
        assert client.call("join", {"name": "A" * 99, "room": "tea"})["names"] == ["A" * 30]
        assert other.call("join", {"name": "Bob", "room": "tea"})["names"] == ["A" * 30, "Bob"]
        for text in (None, "  ", ["a"]):
            assert "error" in client.call("say", text)
        assert client.call("say", "x" * 3000)["text"] == "x" * 2000
        assert client.call("join", {"name": "Ann", "room": "milk"})["history"] == []
        assert other.receive(timeout=10)[0] == "message"
        assert other.receive(timeout=10) == ["people", {"event": f"{'A' * 30} has left", "names": ["Bob"]}]


def test_without_the_client_the_one_command_is_named(tmp_path: Path):
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("node_modules"))
    port = free_port()
    command = [sys.executable, "examples/flask_socketio_chat.py", "--port", str(port)]
    with Program(command, cwd=tmp_path) as program:
        program.wait_for_output(rf"{GET_CLIENT}$")
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=10)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.endswith(f": {GET_CLIENT}")
