"""HTTP that was not made by a browser: what it asks for is refused plainly, what follows it is never taken for something else.

Hostile frames and bodies that are merely too long stand in the files of their transport.
"""

from __future__ import annotations

import re
import socket
import time

import pytest

from .client import Client, target_of
from .frames import TEXT, encode_frame, new_key, upgrade_headers
from .servers import Server
from .waiting import wait_until
from .wire import Connection, ConnectionLost, Headers, Response, encode_request

# These are turned down by the server in front of us before we see them: it may say so in its log.
TURNED_DOWN = pytest.mark.expected_log("Invalid request", "Invalid HTTP", "WARNING", "code 400", "code 505", "\" 50[15] ")


def answer_or_end(connection: Connection) -> Response | None:
    """The response, or None for a connection that was ended without one."""
    try:
        return connection.read_response()
    except (ConnectionLost, ConnectionResetError):
        return None


STRICT = pytest.mark.server_options(ping_interval=0.4, ping_timeout=0.3, connect_timeout=0.3, scenario=["debug"])
LONG = {"Sec-WebSocket-Extensions": 'permessage-deflate; a="b", ', "Connection": "upgrade, ", "Origin": "http://x"}


class TestLengths:
    @TURNED_DOWN
    @pytest.mark.parametrize(("first", "second"), [("2", "6")])
    def test_two_lengths_smuggle_nothing(self, client: Client, server: Server, first: str, second: str):
        session = client.open_polling()
        connection = client.connect()
        connection.send_request("POST", session.target, [("Content-Length", first), ("Content-Length", second)])
        connection.send(b"4hello")
        response = answer_or_end(connection)
        if response is None or response.status != 200:
            assert response is None or response.status in (400, 413)
            assert server.received(session.sid) == []
        else:  # a server that knows one of the two only: then what that one says is the body, and nothing follows it
            wait_until(lambda: server.received(session.sid), "the message to reach its handler")
            assert server.received(session.sid) in (["str:hello"], ["str:h"])
        connection.close()

    @TURNED_DOWN
    @pytest.mark.parametrize("length", ["5", "11", "1000"])
    def test_a_length_and_chunks_at_once_are_never_a_body_of_that_length(self, client: Client, server: Server, length: str):
        session = client.open_polling()
        connection = client.connect()
        connection.send_request("POST", session.target, [("Transfer-Encoding", "chunked"), ("Content-Length", length)])
        connection.send(b"0\r\n\r\n4hello")
        response = answer_or_end(connection)
        assert response is None or 400 <= response.status < 600
        connection.close()
        assert server.received(session.sid) == []


class TestLastRequests:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_the_answer_to_a_last_request_says_that_it_is_the_last(self, client: Client, method: str):
        """A proxy that is not told keeps the connection, and its next request is lost on it."""
        session = client.open_polling()
        session.send("wait for me")
        connection = client.connect()
        body = b"4x" if method == "POST" else None
        response = connection.request(method, session.target, [("Connection", "close")], body)
        assert response.status == 200
        assert "close" in response.tokens("Connection") or response.version == 0
        connection.close()


class TestVersions:
    @TURNED_DOWN
    def test_an_upgrade_without_a_host_is_refused(self, client: Client):
        connection = client.connect()
        connection.send(encode_request("GET", target_of("websocket"), upgrade_headers(new_key()), None))
        response = connection.read_response()
        assert response.status == 400
        assert connection.expect_end() == b""

    @TURNED_DOWN
    def test_the_preface_of_http_2_is_no_request(self, client: Client, server: Server):
        sessions = server.stats()["sessions"]
        connection = client.connect()
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        response = answer_or_end(connection)
        assert response is None or response.status in (400, 404, 505)
        connection.close()
        assert client.open_polling().request("still fine") == ["still fine"]
        assert server.stats()["sessions"] == sessions + 1

    @pytest.mark.parametrize(("transport", "status"), [("polling", 200), ("websocket", 400)])
    def test_an_offer_of_http_2_is_not_taken_up(self, client: Client, transport: str, status: int):
        headers: Headers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
        response = client.http("GET", target_of(transport), headers)
        assert response.status == status
        assert response.header("Upgrade") is None
        client.keep(response)

    def test_polling_works_over_http_1_0(self, client: Client):
        connection = client.connect()
        connection.send(encode_request("GET", target_of("polling"), [("Host", "x")], None, version="HTTP/1.0"))
        response = client.keep(connection.read_response())
        assert (response.status, response.text[:1]) == (200, "0")
        assert not response.keep_alive
        connection.close()


class TestWhatFollows:
    def test_a_request_behind_an_upgrade_is_bytes_of_the_websocket(self, client: Client, server: Server):
        connects = server.stats()["connects"]
        ws = client.raw_websocket(target_of("websocket"), encode_request("GET", target_of("polling"), [("Host", "x")], None))
        assert str(ws.receive()).startswith("0{")
        assert ws.expect_close() == 1002
        assert server.stats()["connects"] == connects + 1

    def test_a_request_behind_a_refused_upgrade_is_not_answered(self, client: Client, server: Server):
        connects = server.stats()["connects"]
        connection = client.connect()
        headers = [("Host", connection.authority), *upgrade_headers(new_key())]
        refused = encode_request("GET", target_of("websocket", "nobody"), headers, None)
        connection.send(refused + encode_request("GET", target_of("polling"), [("Host", "x")], None))
        assert connection.read_response().status == 400
        try:
            assert connection.expect_end() == b""
        except ConnectionResetError:
            pass  # the end of a connection with something unread
        assert server.stats()["connects"] == connects

    def test_frames_before_the_connect_handler_has_returned_wait_for_it(self, client: Client, server: Server):
        """And nobody else can speak for the session meanwhile."""
        connection = client.connect()
        headers = [("Host", connection.authority), *upgrade_headers(new_key())]
        before = server.journals()
        request = encode_request("GET", target_of("websocket", extra="delay=0.6"), headers, None)
        connection.send(request + encode_frame(TEXT, b"4early"))
        sid = wait_until(lambda: (server.journals()[len(before) :] or [""])[0], "the connect handler to begin", 0.5)
        assert client.http("POST", target_of("polling", sid), body=b"4x").status == 400
        assert client.http("GET", target_of("polling", sid)).status == 400
        assert client.refused_websocket(target_of("websocket", sid)).status == 400
        assert connection.read_response().status == 101
        wait_until(lambda: server.received(sid), "the message")
        assert [what for what, _ in server.events(sid)] == ["connect-start", "connect-end", "message"]
        connection.close()


@pytest.mark.server_options(per_message_deflate=True)
@pytest.mark.parametrize("name", [*LONG, "Sec-WebSocket-Protocol", "Sec-WebSocket-Key"])
@TURNED_DOWN
def test_a_header_of_sixty_kilobytes_costs_nothing(client: Client, name: str):
    value = (LONG.get(name, "a, ") * 60_000)[:60_000].strip()
    connection = client.connect()
    headers = [(key, value) for key, value in upgrade_headers(new_key()) if key != name]
    began = time.monotonic()
    connection.send_request("GET", target_of("websocket"), [*headers, (name, value)])
    response = answer_or_end(connection)
    assert time.monotonic() - began < 1
    assert response is None or response.status == 101 or 400 <= response.status < 500
    connection.close()


class TestOrigins:
    def test_a_message_of_a_foreign_page_is_refused_and_the_session_lives(self, client: Client, server: Server):
        session = client.open_polling()
        headers: Headers = [("Origin", "http://evil.example"), ("Content-Type", "text/plain")]
        assert client.http("POST", session.target, headers, b"4forged").status == 400
        assert client.http("POST", session.target, headers, b"1").status == 400
        assert session.request("mine") == ["mine"]
        assert server.received(session.sid) == ["str:mine"]

    def test_the_upgrade_of_a_foreign_page_is_refused_and_the_session_lives(self, client: Client):
        session = client.open_polling()
        headers = [*upgrade_headers(new_key()), ("Origin", "http://evil.example")]
        assert client.refused_websocket(target_of("websocket", session.sid), headers).status == 400
        assert session.request("mine") == ["mine"]


class TestTooMuch:
    def test_more_packets_in_a_body_than_the_option_says_close_the_session(self, client: Client, server: Server):
        session = client.open_polling()
        response = session.post_body("\x1e".join(["4"] * 10_001))
        assert response.status == 400
        assert server.wait_disconnected(session.sid) == "transport error"
        assert server.received(session.sid) == []

    @pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "[" + "9" * 100_000 + "]"])
    def test_json_that_no_parser_can_take_is_a_text_or_a_fault_but_no_error(self, client: Client, server: Server, text: str):
        session, ws = client.open_polling(), client.open_websocket()
        session.post_body("4" + text)
        ws.send("4" + text)
        for opened in (session, ws):
            wait_until(lambda sid=opened.sid: server.events(sid)[2:], "the text to be taken or refused")
        assert client.open_polling().request("still fine") == ["still fine"]


@STRICT
class TestSlow:
    def test_a_body_slower_than_its_session_is_given_up_with_it(self, client: Client, server: Server):
        session = client.open_polling()
        session.over = True
        connection = client.connect()
        connection.send_request("POST", session.target, [("Content-Length", "1000")])
        began = time.monotonic()
        connection.send(b"4half")
        try:
            while time.monotonic() < began + 5:
                connection.send(b"x")
                if connection.readable(0.05):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - began < 3, "the worker still waits for the rest"
        assert server.wait_disconnected(session.sid) in ("ping timeout", "transport error")
        connection.close()
        server.new_log()  # some servers say that the body ended

    @pytest.mark.expected_log("Socket error", "Traceback", "TimeoutError", "timed out", "Connection")
    def test_an_answer_that_nobody_reads_is_given_up(self, client: Client, server: Server):
        """Each of them has a thread of a threaded server, which has no more than a few."""
        before = server.stats()
        readers = []
        for _ in range(5):
            session = client.open_polling()
            session.send({"cmd": "send_many", "n": 200, "size": 20_000})
            session.over = True
            reader = client.connect(receive_buffer=4096)
            reader.send_request("GET", session.target)
            session.drop()
            readers.append(reader)
        wait_until(lambda: server.stats()["descriptors"] <= before["descriptors"] + 4, "the connections to be closed", 6, 0.1)
        assert server.stats()["greenlets"] <= before["greenlets"] + 10
        assert client.open_polling().request("still fine") == ["still fine"]
        server.new_log()  # some servers say that a client has gone

    def test_a_frame_slower_than_its_session_is_given_up_with_it(self, client: Client, server: Server):
        ws = client.open_websocket()
        frame = encode_frame(TEXT, b"4" + b"x" * 50_000)
        ws.send_raw(frame[:100])
        began = time.monotonic()
        try:
            while not server.disconnects(ws.sid) and time.monotonic() < began + 5:
                ws.send_raw(b"x")
        except OSError:
            pass
        assert server.wait_disconnected(ws.sid) == "ping timeout"
        assert time.monotonic() - began < 3


@STRICT
@pytest.mark.expected_log("connect_timeout")
@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_connect_handler_that_takes_too_long_lets_nobody_in(client: Client, server: Server, transport: str):
    target = target_of(transport, extra="delay=0.8")
    if transport == "polling":
        response = client.http("GET", target)
    else:
        response = client.refused_websocket(target)
    assert 400 <= response.status < 600
    wait_until(lambda: server.stats()["sessions"] == 0, "nobody to be in")
    assert client.open_polling().request("still fine") == ["still fine"]


@STRICT
class TestLog:
    """The log of a server that says all it can."""

    HOSTILE = "x%0d%0aERROR%20forged%20%1b%5b31m%00"

    def said(self, server: Server) -> list[str]:
        """The lines since the last call, without those of the server in front of us."""
        return [line for line in server.new_log().split("\n") if re.match(r"[A-Z]+ (scenario\.engineio|engineio_green)", line)]

    def test_what_a_client_sends_can_not_begin_a_line_nor_colour_it(self, client: Client, server: Server):
        server.new_log()
        targets = target_of("polling", self.HOSTILE), target_of(self.HOSTILE), target_of("polling", eio=self.HOSTILE)
        for target in targets:
            assert client.http("GET", target).status == 400
        assert client.http("GET", target_of("polling"), [("Origin", "http://a\x1b[31mforged.example")]).status == 400
        lines = server.new_log().split("\n")
        assert sum("scenario.engineio: refused" in line for line in lines) >= len(targets)
        assert not [line for line in lines if line.startswith("ERROR")]
        ours = [line for line in lines if "scenario.engineio" in line]
        assert not [line for line in ours if re.search("[\x00-\x1f\x7f]", line)]

    def test_what_a_client_sends_is_logged_in_part(self, client: Client, server: Server):
        server.new_log()
        assert client.http("GET", target_of("polling", "x" * 3500)).status == 400
        (line,) = (line for line in self.said(server) if "refused" in line)  # sessions before may just have ended
        assert len(line) < 600

    def test_no_session_id_is_logged_in_full_at_info(self, client: Client, server: Server):
        server.new_log()
        session, ws = client.open_polling(), client.open_websocket()
        session.upgrade()[0].drop()
        ws.send("9")
        ws.expect_close()
        for sid in (session.sid, ws.sid):
            server.wait_disconnected(sid)
        shown = [line for line in self.said(server) if not line.startswith("DEBUG")]
        assert not [line for line in shown if session.sid in line or ws.sid in line]


def test_a_socket_that_says_nothing_is_no_session(client: Client, server: Server):
    before = server.stats()
    silent = [socket.create_connection((server.host, server.port)) for _ in range(10)]
    assert client.open_polling().request("still fine") == ["still fine"]
    assert server.stats()["sessions"] <= before["sessions"] + 1
    for sock in silent:
        sock.close()
