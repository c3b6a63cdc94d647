"""`doctor URL` in front of servers that have something about them, and of a Node.js server."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs import ROOT, Program, free_port, gunicorn_arguments
from scenarios.waiting import wait_until

from engineio_green.__main__ import main
from engineio_green.doctor import checks, wire
from engineio_green.doctor.command import endpoint

from .reading import Examine, Found, examine, problems

__all__ = ["examine"]  # a fixture


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def started(command: list[str], port: int, cwd: Path = ROOT / "tests", **env: str) -> Iterator[str]:
    with Program(command, env, cwd=cwd) as program:
        wait_until(lambda: listens(port), f"{command} to listen; {program.output}", 20, 0.05)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def serving(kind: str, **env: str) -> Iterator[str]:
    port = free_port()
    with started([sys.executable, "-m", "doctor.serving", kind, str(port)], port, **env) as url:
        yield url


@contextmanager
def gunicorn(*arguments: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", *arguments, "doctor.serving:app"]
    with started(command, port, GUNICORN_CMD_ARGS=gunicorn_arguments(port)) as url:
        yield url


def test_all_is_well_with_an_ordinary_server_through_the_long_silence(capsys: pytest.CaptureFixture[str]):
    with serving("ordinary") as url:
        assert main(["doctor", url]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Examining {url}/engine.io/\n")
    assert said.endswith("\nAll is well.\n")
    assert "A silent websocket stays open" in said
    assert "A silent poll stays open" in said
    assert max(map(len, said.splitlines())) <= 110


def test_several_processes_without_affinity_are_counted(examine: Examine):
    with gunicorn("-k", "gthread", "--threads", "4", "-w", "3") as url:
        # The first may be asked while it is still alone.
        _, found = wait_until(lambda: reported(examine, url), "the processes to be noticed", 30)
    # Which process takes a connection is the kernel's choice, so which examination meets another one is, too.
    said = " ".join(problems(found).values())
    assert "Session ID unknown" in said
    assert "A session lives in one process. Run one (gunicorn: -w 1)" in said


def reported(examine: Examine, url: str) -> tuple[int, Found] | None:
    code, found = examine(url, "--quick")
    return (code, found) if code == 1 else None


def test_a_server_that_works_off_one_request_at_a_time_is_named(examine: Examine, monkeypatch: pytest.MonkeyPatch):
    for module in (checks, wire):
        monkeypatch.setattr(module, "PATIENCE", 0.6)  # the poll that blocks it is answered after the ping interval, a second
    with gunicorn("-k", "sync", "-w", "1") as url:
        code, found = examine(url, "--quick")
    assert (code, set(problems(found))) == (1, {"polling"})
    assert "-k gthread --threads 8" in problems(found)["polling"]


def test_an_answer_that_is_held_back_is_named(examine: Examine):
    with serving("slow") as url:
        code, found = examine(url, "--quick")
    assert code == 1
    assert "late: something buffers it" in problems(found)["polling"]


def test_a_server_that_keeps_its_socket_to_itself_has_no_websocket(examine: Examine):
    with serving("no socket") as url:
        code, found = examine(url, "--quick")
    assert (code, set(problems(found))) == (1, {"websocket"})
    assert "websocket NOT offered" in found["handshake"][0][1]
    assert "This web server keeps the socket to itself" in problems(found)["websocket"]


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        ("polling", "websocket", "switched off by the server's option transports"),
        ("websocket", "handshake", "Polling is switched off by the server's option transports"),
        ("no upgrades", "websocket", "see the option allow_upgrades"),
        ("limited", "processes", "was answered with 503 'Too many sessions'"),
    ],
)
def test_what_a_server_is_set_to_is_noted_and_nothing_has_to_change(kind: str, check: str, words: str, examine: Examine):
    with serving(kind) as url:
        code, found = examine(url, "--quick")
    if kind != "limited":
        assert (code, problems(found)) == (0, {})
    assert ("note", True) in [(level, words in text) for level, text in found[check]]


def test_an_application_that_talks_all_the_time_is_no_problem(examine: Examine):
    with serving("busy") as url:
        code, found = examine(url)
    assert (code, problems(found)) == (0, {})


def test_headers_are_sent_along(examine: Examine):
    with serving("door") as url:
        code, found = examine(url, "--quick")
        assert code == 2
        assert "give them with --header" in found["error"][0][1]
        code, found = examine(url, "--quick", "--header", "X-Key: open sesame")
    assert (code, problems(found)) == (0, {})


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "that is no open packet, so something else answers at this path"),
        ("/old", "it leads to https://new.example/engine.io/: examine that one"),
    ],
)
def test_what_is_no_engine_io_server_is_a_sentence(path: str, words: str, examine: Examine):
    with serving("page") as url:
        code, found = examine(f"{url}{path}")
    assert code == 2
    assert words in found["error"][0][1]


def test_a_wrong_path_is_a_sentence(examine: Examine):
    with serving("ordinary") as url:
        code, found = examine(f"{url}/socket.io")
    assert code == 2
    assert "there is no Engine.IO server at this path" in found["error"][0][1]


def test_a_certificate_that_nobody_has_signed_is_a_sentence_and_can_be_believed(
    certificate: tuple[Path, Path], examine: Examine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with serving("ordinary", TLS_FILES=",".join(map(str, certificate))) as plain:
        url = plain.replace("http", "https")
        assert main(["doctor", url]) == 2
        assert "--insecure believes it" in " ".join(capsys.readouterr().err.split())
        code, found = examine(url, "--quick")
        assert (code, problems(found)) == (0, {})
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert main(["doctor", url, "--quick"]) == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "refuses connections: nothing listens there"),
        ("http://name.invalid", "has a name that nobody knows"),
        ("ftp://127.0.0.1", "write http://host:port or https://host"),
        ("http://127.0.0.1:port", "write http://host:port or https://host"),
        ("http://user:secret@127.0.0.1", "--header 'Authorization: ...'"),
    ],
)
def test_what_can_not_be_visited_is_a_sentence(url: str, words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", url]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert "secret" not in said


@pytest.mark.parametrize("header", ["no colon", "Bad Name: x", "X: a\nb"])
def test_a_header_that_is_none_is_a_usage_error(header: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "http://127.0.0.1", "--header", header])
    assert ended.value.code == 2
    assert "a header is written 'Name: value'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host", "http://host/engine.io/"),
        ("https://host:8443/", "https://host:8443/engine.io/"),
        ("ws://[::1]:5000", "http://[::1]:5000/engine.io/"),
        ("wss://host/live", "https://host/live/"),
    ],
)
def test_the_path_is_the_usual_one_unless_it_is_named(url: str, expected: str):
    assert endpoint(url) == expected


def test_something_that_accepts_and_never_answers_is_a_sentence(examine: Examine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, found = examine(f"http://127.0.0.1:{silent.getsockname()[1]}", "--quick")
    assert code == 2
    assert "did not answer within" in found["error"][0][1]
