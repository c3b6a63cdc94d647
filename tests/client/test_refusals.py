"""connect() that fails: the server's own reason in the text, and details for code. Nothing is left of the attempt."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from engineio_green import AsyncClient, Client, exceptions

from .conftest import url_of
from .middleman import Middleman
from .recording import client_threads

ONE_TRANSPORT = pytest.mark.parametrize("transport", ["polling", "websocket"])


def refused(make, url: str, transport: str, **options) -> exceptions.ConnectionError:
    recorder = make(**{"request_timeout": 1, **options})
    with pytest.raises(exceptions.ConnectionError) as caught:
        recorder.client.connect(url, transports=[transport])
    assert recorder.events == []
    assert (recorder.client.state, recorder.client.sid) == ("disconnected", None)
    recorder.client.wait()
    assert client_threads() == []
    return caught.value


@ONE_TRANSPORT
@pytest.mark.parametrize(
    ("kind", "text", "detail"),
    [
        ("false", "Unauthorized", "Unauthorized"),
        ("string", "go away", "go away"),
        ("dict", '{"why":"no ticket"}', {"why": "no ticket"}),
        ("list", "[1,2]", [1, 2]),
    ],
)
def test_refusal_of_the_connect_handler_reaches_the_user(server, make, transport, kind, text, detail):
    error = refused(make, f"{url_of(server)}/?reject={kind}", transport)
    assert str(error) == f"the server refused the connection (HTTP 401): {text}"
    assert (error.args[1], error.status, error.kind) == (detail, 401, "refused")


def test_refusal_of_the_protocol_reaches_the_user(servers, make):
    error = refused(make, url_of(servers.get("gevent-pywsgi", transports=["websocket"])), "polling")
    assert str(error) == "the server refused the connection (HTTP 400): Transport unknown (code 0)"
    assert error.args[1] == {"code": 0, "message": "Transport unknown"}


@ONE_TRANSPORT
def test_name_that_does_not_exist(make, transport):
    error = refused(make, "http://nowhere.invalid:5000", transport)
    assert error.kind == "address"
    assert "nowhere.invalid:5000: there is no such host" in str(error)


@ONE_TRANSPORT
def test_port_where_nothing_listens(make, transport):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    error = refused(make, f"http://127.0.0.1:{port}", transport)
    assert error.kind == "unreachable"
    assert str(error) == f"127.0.0.1:{port}: nothing listens there (connection refused)"


@ONE_TRANSPORT
def test_server_that_does_not_answer_in_time(make, transport):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        began = time.monotonic()
        error = refused(make, f"http://127.0.0.1:{listener.getsockname()[1]}", transport, request_timeout=0.3)
        assert time.monotonic() - began < 2
    assert error.kind == "timeout"
    assert "no answer in time" in str(error)


@ONE_TRANSPORT
def test_tls_to_a_server_that_does_not_speak_it(server, make, transport):
    error = refused(make, f"https://127.0.0.1:{server.port}", transport)
    assert error.kind == "tls"
    server.new_log()  # it has something to say about that


@ONE_TRANSPORT
@pytest.mark.parametrize("answer", [b"4hello", b"0{}", b"<html>hello</html>", b"\xff"])
def test_answer_that_is_not_engineio(make, transport, answer):
    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        error = refused(make, f"http://127.0.0.1:{listener.getsockname()[1]}", transport)
    expected = {"polling": ("protocol", None), "websocket": ("refused", 200)}
    assert (error.kind, error.status) == expected[transport]


@ONE_TRANSPORT
def test_connection_that_breaks_during_the_handshake(make, transport):
    def serve() -> None:
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.close()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        assert refused(make, f"http://127.0.0.1:{listener.getsockname()[1]}", transport).kind == "unreachable"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url": "localhost:5000"}, "URL"),
        ({"url": "http://h", "transports": []}, "transports"),
        ({"url": "http://h", "transports": ["carrier pigeon"]}, "transports"),
        ({"url": "http://h", "headers": {"a": "b\r\nc: d"}}, "header 'a' must be ASCII text"),
        ({"url": "http://h", "headers": {"a": "ü€"}}, "header 'a' must be ASCII text.* encode it"),
        ({"url": "http://h", "headers": {"a": " b"}}, "header 'a' must be .* a space in front"),
        ({"url": "http://h", "headers": {"a b": "1"}}, "header 'a b' needs a name"),
        ({"url": "http://h", "headers": {"": "1"}}, "header '' needs a name"),
    ],
)
def test_arguments_that_can_not_work_are_named(make, arguments, text):
    recorder = make()
    with pytest.raises(ValueError, match=text):
        recorder.client.connect(**arguments)
    assert recorder.client.state == "disconnected"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        *(("request_timeout", value, "a positive number") for value in (0, -1, "5", True, float("nan"))),
        ("reconnection_delay", "1", "a number"),
        ("reconnection_delay_max", None, "a number"),
        ("randomization_factor", [], "a number"),
        ("reconnection_attempts", 1.5, "an integer"),
        ("reconnection_attempts", -1, "an integer"),
    ],
)
def test_options_that_can_not_work_are_named(kind, option, value, text):
    with pytest.raises(exceptions.SettingError, match=f"{option} must be {text}.* not {re.escape(repr(value))}"):
        kind(**{option: value})


@ONE_TRANSPORT
@pytest.mark.parametrize("name", ["Client", "AsyncClient"])
def test_error_that_nobody_catches_is_shown_alone(name, transport):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    program = f"""
import asyncio, engineio_green
attempt = engineio_green.{name}().connect({url!r}, transports={transport!r})
asyncio.run(attempt)
"""
    said = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True).stderr
    assert said.count("Traceback") == 1
    assert said.splitlines()[-1].endswith("nothing listens there (connection refused)")


def test_disconnect_stops_a_connect_that_is_under_way(server, make):
    recorder = make()
    caught: list[exceptions.ConnectionError] = []

    def connect() -> None:
        try:
            recorder.client.connect(slow.url)
        except exceptions.ConnectionError as error:
            caught.append(error)

    with Middleman(server.port, delay=0.3) as slow:
        thread = recorder.client.start_background_task(connect)
        while recorder.client.state != "connecting":
            time.sleep(0.01)
        recorder.client.disconnect()
        thread.join(10)
        assert caught[0].kind == "cancelled"
        assert (recorder.events, recorder.client.state) == ([], "disconnected")


def test_libraries_are_imported_when_a_client_is_made_and_their_extra_is_named_when_they_are_missing():
    program = """
import sys
import engineio_green, engineio_green.client.command
assert not {"requests", "websocket"} & set(sys.modules)
sys.modules["websocket"] = None
try:
    engineio_green.Client()
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert 'pip install "engineio_green[client]"' in said
