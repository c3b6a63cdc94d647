"""Each example, started the ways its docstring names, spoken to over real sockets and opened in a real browser."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from browser import browser, open_tab
from interop.chromium import Browser
from programs import (
    PollingSession,
    Program,
    WebSocketSession,
    check_echo,
    free_port,
    gunicorn_arguments,
    supported_modes,
)

__all__ = ["browser"]  # a fixture


@contextmanager
def running(command: str, **env: str) -> Iterator[str]:
    """The URL of an example that answers; `{port}` in the command is one that was free."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    env["GUNICORN_CMD_ARGS"] = gunicorn_arguments(port)
    with Program(command.format(port=port), env) as program:
        program.wait_for_answer(url)
        yield url
    assert "Traceback" not in program.output, program.output


LATENCY = [
    *((f"{sys.executable} examples/latency.py --async-mode {mode} --port {{port}}", "") for mode in supported_modes()),
    ("gunicorn -k gevent -w 1 examples.latency:app", "gevent"),
    ("gunicorn -k gevent -w 1 --chdir examples latency:app", "gevent"),
    ("gunicorn -k gthread -w 1 --threads 8 examples.latency:app", "threading"),
]


@pytest.mark.parametrize(("command", "mode"), LATENCY, ids=[command.partition("examples")[2] for command, _ in LATENCY])
def test_latency_example_echoes_on_both_transports(command: str, mode: str):
    with running(command, ASYNC_MODE=mode) as url:
        check_echo(url)


def test_latency_page_shows_a_time(browser: Browser):
    with running(LATENCY[0][0]) as url, open_tab(browser) as tab:
        tab.open(url)
        tab.wait_until("document.querySelector('#status').textContent === 'open by websocket'")
        tab.wait_until("Number(document.querySelector('#median').textContent) > 0")
        assert tab.complaints() == []


CHAT = [f"{sys.executable} examples/chat.py {{port}}", "gunicorn -k gevent -w 1 examples.chat:app"]


@pytest.mark.parametrize("command", CHAT, ids=["pywsgi", "gunicorn"])
def test_chat_tells_everybody_who_joins_speaks_and_leaves(command: str):
    with running(command) as url:
        ann, bob = PollingSession(url), WebSocketSession(url)
        ann.send('{"join":"Ann"}')
        assert json.loads(ann.receive()) == {"event": "Ann has joined", "present": ["Ann"]}
        bob.send('{"say":"not yet here"}')
        bob.send('{"join":"Bob"}')
        for session in (ann, bob):
            assert json.loads(session.receive()) == {"event": "Bob has joined", "present": ["Ann", "Bob"]}
        bob.send('{"say":" good morning "}')
        for session in (ann, bob):
            assert json.loads(session.receive()) == {"from": "Bob", "text": "good morning"}
        bob.close()
        assert json.loads(ann.receive()) == {"event": "Bob has left", "present": ["Ann"]}
        ann.close()


def test_chat_page_shows_what_another_page_says_as_text(browser: Browser):
    say = "(words) => {{ document.querySelector('#text').value = {}; document.querySelector('button').click() }}"
    with running(CHAT[0]) as url, open_tab(browser) as ann, open_tab(browser) as bob:
        for tab, name in ((ann, "Ann"), (bob, "Bob")):
            tab.open(url)
            tab.wait_until("document.querySelector('#present').textContent === 'connected'")
            tab.evaluate(f"({say.format(json.dumps(name))})()")
            ann.wait_until(f"document.querySelector('#messages').textContent.includes('{name} has joined')")
        bob.evaluate(f"({say.format(json.dumps('<b>hello</b>'))})()")
        ann.wait_until("document.querySelector('#messages').lastChild.textContent === 'Bob: <b>hello</b>'")
        assert [*ann.complaints(), *bob.complaints()] == []
        bob.open("about:blank")
        ann.wait_until("document.querySelector('#present').textContent === 'Here: Ann'")


FLASK = [
    f"{sys.executable} examples/flask_app.py {{port}}",
    f"{sys.executable} -m flask --app examples/flask_app.py run --port {{port}}",
    "gunicorn -k gthread -w 1 --threads 8 examples.flask_app:app",
]


@pytest.mark.parametrize("command", FLASK, ids=["app.run", "flask run", "gunicorn"])
def test_flask_route_reaches_every_session(command: str):
    with running(command) as url:
        check_echo(url)
        polling, direct = PollingSession(url), WebSocketSession(url)
        answer = requests.post(f"{url}notify", data={"text": "to all"}, timeout=10)
        assert answer.json()["told"] >= 2
        assert polling.receive() == direct.receive() == "to all"
        direct.close()
        polling.close()


def test_flask_page_shows_a_notification(browser: Browser):
    with running(FLASK[0]) as url, open_tab(browser) as tab:
        tab.open(url)
        tab.wait_until("document.querySelector('#status').textContent === 'open by websocket'")
        tab.evaluate("document.querySelector('input').value = 'from the form'")
        tab.evaluate("document.querySelector('button').click()")
        tab.wait_until("document.querySelector('#list').textContent === 'from the form'")
        assert tab.complaints() == []
