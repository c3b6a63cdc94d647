"""`doctor URL` in front of servers of Socket.IO: the path that nobody named, and what a client of Socket.IO gets there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from programs import free_port

from engineio_green.__main__ import main
from engineio_green.doctor import socketio

from .reading import Examine, Found, examine, problems
from .test_urls import serving, started

__all__ = ["examine"]  # a fixture

CHECK = "Socket.IO"


@contextmanager
def socketio_serving(kind: str) -> Iterator[str]:
    port = free_port()
    with started([sys.executable, "-m", "doctor.socketio_serving", kind, str(port)], port) as url:
        yield url


def said(found: Found) -> list[str]:
    """What is said of Socket.IO, without how long things took."""
    return [text for _, text in found[CHECK]]


@pytest.mark.parametrize("kind", ["flask", "gevent", "eventlet"])
def test_all_is_well_with_a_server_whose_path_nobody_has_named(kind: str, examine: Examine):
    with socketio_serving(kind) as url:
        code, found = examine(url, "--quick")
    assert (code, problems(found)) == (0, {})
    assert set(found) == {"path", "handshake", "processes", "polling", "websocket", "upgrade", CHECK, "origin", "bodies"}
    ((level, text),) = found["path"]
    assert level == "note"
    assert text.startswith("/engine.io/ is no Engine.IO server, it answers with 404")
    assert "/socket.io/ is one, and is examined in its place" in text
    (text,) = said(found)
    assert text.startswith("A client of Socket.IO reaches the namespace /: by polling after ")
    assert " ms and by websocket after " in text


def test_lines_for_people_name_the_path_that_was_found(capsys: pytest.CaptureFixture[str]):
    with socketio_serving("flask") as url:
        assert main(["doctor", url, "--quick"]) == 0
        words = capsys.readouterr().out
        assert "  note  /engine.io/ is no Engine.IO server" in words
        assert "  ok    A client of Socket.IO reaches the namespace /: " in words
        assert words.endswith("\nAll is well.\n")
        assert main(["doctor", f"{url}/socket.io/", "--quick", "--json"]) == 0
        named = capsys.readouterr().out
        assert f'"target": "{url}/socket.io/"' in named
        assert '"check": "path"' not in named
        assert main(["doctor", url, "--quick", "--json"]) == 0
        assert f'"target": "{url}/socket.io/"' in capsys.readouterr().out


def test_a_plain_server_is_neither_asked_for_socket_io_nor_at_its_path(examine: Examine):
    with serving("ordinary") as url:
        code, found = examine(url, "--quick")
    assert (code, problems(found)) == (0, {})
    assert set(found) == {"handshake", "processes", "polling", "websocket", "upgrade", "origin", "bodies"}


def test_where_neither_answers_both_are_named(examine: Examine):
    with serving("page") as url:
        code, found = examine(url)
    assert code == 2
    assert "that is no open packet, so something else answers at this path" in found["error"][0][1]
    assert "Nor is it /socket.io/, which answers with 200" in found["error"][0][1]


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        ("/chat", "reaches the namespace /chat: by polling after"),
        ("/nowhere", "There is no namespace /nowhere for clients of Socket.IO: by polling and by websocket the answer is"),
    ],
)
def test_the_namespace_is_the_one_that_is_named(namespace: str, words: str, examine: Examine):
    with socketio_serving("flask") as url:
        code, found = examine(url, "--quick", "--namespace", namespace)
    assert set(problems(found)) == ({CHECK} if namespace == "/nowhere" else set())
    assert code == len(problems(found))
    (text,) = said(found)
    assert words in text


def test_a_refusal_is_told_with_its_reason_and_credentials_can_be_given(examine: Examine):
    with socketio_serving("key") as url:
        code, found = examine(url, "--quick")
        assert (code, set(problems(found))) == (1, {CHECK})
        (text,) = said(found)
        assert "asks for the namespace / by polling and by websocket, which refuses it: the reason given is 'who are you?" in text
        assert '({"try": "again"})' in text
        assert "--auth" in text
        code, found = examine(url, "--quick", "--auth", '{"token": "open sesame"}')
    assert (code, problems(found)) == (0, {})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("says no", "which refuses it: the reason given is 'Connection rejected by server'"),
        ("second thoughts", "which lets it in and sends it away at once: "),
    ],
)
def test_a_refusal_without_words_of_the_application_is_one_as_well(kind: str, words: str, examine: Examine):
    with socketio_serving(kind) as url:
        code, found = examine(url, "--quick")
    assert (code, set(problems(found))) == (1, {CHECK})
    (text,) = said(found)
    assert "by polling and by websocket, " in text
    assert words in text


def test_transports_that_differ_are_told_apart(examine: Examine):
    with socketio_serving("one way") as url:
        code, found = examine(url, "--quick")
    assert (code, set(problems(found))) == (1, {CHECK})
    refused, reached = said(found)
    assert "by polling, which refuses it: the reason given is 'not by polling'" in refused
    assert "reaches the namespace /: by websocket after" in reached
    assert "by polling" not in reached


@pytest.mark.parametrize("kind", ["polling", "websocket"])
def test_a_transport_that_is_switched_off_is_not_asked(kind: str, examine: Examine):
    with socketio_serving(kind) as url:
        code, found = examine(url, "--quick")
    assert (code, problems(found)) == (0, {})
    (text,) = said(found)
    assert f"reaches the namespace /: by {kind} after" in text
    assert " and by " not in text


@pytest.mark.parametrize("kind", ["broken", "engine"])
def test_no_answer_is_a_sentence(kind: str, examine: Examine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socketio, "PATIENCE", 1.0)
    with socketio_serving(kind) as url:
        code, found = examine(url, "--quick")
    assert (code, set(problems(found))) == (1, {CHECK})
    (text,) = said(found)
    assert "by polling and by websocket gets no answer within 1 s" in text
    assert "nothing speaks Socket.IO here" in text


def test_at_a_path_of_its_own_it_is_asked_when_a_namespace_is_named(examine: Examine):
    with socketio_serving("elsewhere") as url:
        code, found = examine(f"{url}/live", "--quick")
        assert (code, CHECK in found) == (0, False)
        code, found = examine(f"{url}/live", "--quick", "--namespace", "/")
    assert (code, problems(found)) == (0, {})
    assert "reaches the namespace /: " in said(found)[0]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--namespace", "/a,b", "a namespace is written /name"),
        ("--namespace", "/a b", "a namespace is written /name"),
        ("--auth", "token", "credentials are a JSON object"),
        ("--auth", '"token"', "credentials are a JSON object"),
    ],
)
def test_what_can_not_be_sent_is_a_usage_error(option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "http://127.0.0.1", option, value])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
