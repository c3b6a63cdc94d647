"""A session on a websocket: messages, the handshake, frames, faults, closing."""

from __future__ import annotations

import base64
import struct

import pytest

from .client import Client, target_of
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    accept_of,
    encode_frame,
    new_key,
    upgrade_headers,
)
from .servers import Server
from .waiting import wait_until
from .wire import encode_request

LIMIT = 1_000_000


class TestMessages:
    def test_messages_come_back_in_order(self, client: Client):
        ws = client.open_websocket()
        texts = [f"message {number}" for number in range(500)]
        assert ws.request(*texts) == texts

    def test_text_binary_and_unicode_come_back_as_they_were(self, client: Client):
        ws = client.open_websocket()
        items = ["", "a", b"", b"\x00\xff", "日本語 😀 \u2028", bytes(range(256)), "z" * 70_000, b"y" * 70_000]
        assert ws.request(*items) == items

    @pytest.mark.parametrize("size", [124, 125, 126, 127, 65_534, 65_535, 65_536])
    def test_each_form_of_length_works(self, client: Client, size: int):
        ws = client.open_websocket()
        assert ws.request("x" * (size - 1), b"y" * size) == ["x" * (size - 1), b"y" * size]

    @pytest.mark.parametrize("text", ["true", "null", "12", "NaN", "{broken"])
    def test_a_text_that_is_no_object_or_array_stays_a_text(self, client: Client, server: Server, text: str):
        ws = client.open_websocket()
        assert ws.request(text) == [text]
        assert server.received(ws.sid) == [f"str:{text}"]

    def test_fragments_make_one_message(self, client: Client):
        ws = client.open_websocket()
        ws.send_frame(TEXT, b"4hel", fin=False)
        ws.send_frame(CONTINUATION, b"", fin=False)
        ws.send_frame(CONTINUATION, b"lo \xf0\x9f", fin=False)
        ws.send_frame(CONTINUATION, b"\x98\x80", fin=True)
        assert ws.receive_data() == ["hello 😀"]
        ws.send_frame(BINARY, b"\x01", fin=False)
        ws.send_frame(CONTINUATION, b"\x02", fin=True)
        assert ws.receive_data() == [b"\x01\x02"]

    def test_a_message_that_arrives_byte_by_byte_is_one_message(self, client: Client):
        ws = client.open_websocket()
        for byte in encode_frame(TEXT, b"4slow but sure"):
            ws.send_raw(bytes([byte]))
        assert ws.receive_data() == ["slow but sure"]

    def test_messages_in_one_segment_are_several_messages(self, client: Client):
        ws = client.open_websocket()
        ws.send_raw(b"".join(encode_frame(TEXT, f"4{number}".encode()) for number in range(50)) + encode_frame(BINARY, b"z"))
        assert ws.receive_data(51) == [*map(str, range(50)), b"z"]

    def test_a_message_of_exactly_the_limit_is_taken(self, client: Client):
        ws = client.open_websocket()
        text, data = "x" * (LIMIT - 1), b"\xfe" * LIMIT
        assert ws.request(text) == [text]
        assert ws.request(data) == [data]


@pytest.mark.server_options(allow_request="$not_blocked", max_http_buffer_size=20_000)
class TestSmallLimit:
    """A limit below what is read at once: the whole message is there when its header is looked at."""

    def test_a_message_of_exactly_the_limit_is_taken(self, client: Client):
        ws = client.open_websocket()
        assert ws.handshake["maxPayload"] == 20_000
        assert ws.request("x" * 19_999, b"y" * 20_000) == ["x" * 19_999, b"y" * 20_000]

    @pytest.mark.parametrize("message", ["x" * 20_000, b"y" * 20_001])
    def test_a_message_over_the_limit_closes(self, client: Client, server: Server, message: str | bytes):
        ws = client.open_websocket()
        ws.send_data("before", message)
        assert ws.expect_close() == 1009
        server.wait_disconnected(ws.sid)
        assert server.received(ws.sid) == ["str:before"]


class TestHandshake:
    def test_frames_right_behind_the_request_reach_the_application(self, client: Client):
        pipelined = encode_frame(TEXT, b"4one") + encode_frame(TEXT, b"4two") + encode_frame(BINARY, b"\x03")
        ws = client.raw_websocket(target_of("websocket"), pipelined)
        assert str(ws.receive()).startswith("0{")
        assert ws.receive_many(3) == ["4one", "4two", b"\x03"]

    def test_half_a_frame_behind_the_request_is_completed_by_the_next_segment(self, client: Client):
        frame = encode_frame(TEXT, b"4in two pieces")
        ws = client.raw_websocket(target_of("websocket"), frame[:7])
        assert str(ws.receive()).startswith("0{")
        ws.send_raw(frame[7:])
        assert ws.receive() == "4in two pieces"

    def test_a_request_in_many_small_pieces_is_one_request(self, client: Client):
        connection = client.connect()
        key = new_key()
        for byte in encode_request("GET", target_of("websocket"), [("Host", "x"), *upgrade_headers(key)], None):
            connection.send(bytes([byte]))
        response = connection.read_response()
        assert (response.status, response.header("Sec-WebSocket-Accept")) == (101, accept_of(key))

    def test_the_101_is_exact(self, client: Client):
        connection = client.connect()
        key = new_key()
        response = connection.request("GET", target_of("websocket"), upgrade_headers(key))
        assert (response.status, response.version) == (101, 1)
        assert response.header("Upgrade") == "websocket"
        assert response.header("Connection") == "Upgrade"
        assert response.header("Sec-WebSocket-Accept") == accept_of(key)
        for absent in ("Content-Length", "Transfer-Encoding", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
            assert response.header(absent) is None

    def test_offered_extensions_are_not_taken_up_by_default(self, client: Client):
        ws = client.raw_websocket(
            target_of("websocket"), b"", [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
        )
        assert str(ws.receive()).startswith("0{")

    @pytest.mark.parametrize(
        ("connection", "upgrade"), [("keep-alive, Upgrade", "websocket"), ("UPGRADE", "WebSocket"), ("upgrade", "WEBSOCKET")]
    )
    def test_header_values_are_compared_as_the_standard_says(self, client: Client, connection: str, upgrade: str):
        headers = [("Upgrade", upgrade), ("Connection", connection), *upgrade_headers(new_key())[2:]]
        assert client.connect().request("GET", target_of("websocket"), headers).status == 101

    @pytest.mark.parametrize(
        ("drop", "put"),
        [
            ("Sec-WebSocket-Key", None),
            ("Sec-WebSocket-Key", ""),
            ("Sec-WebSocket-Key", "too-short"),
            ("Sec-WebSocket-Key", base64.b64encode(b"x" * 15).decode()),
            ("Sec-WebSocket-Key", base64.b64encode(b"x" * 17).decode()),
            ("Sec-WebSocket-Key", "!" * 24),
            ("Sec-WebSocket-Version", None),
            ("Sec-WebSocket-Version", "8"),
            ("Sec-WebSocket-Version", "nonsense"),
            ("Connection", None),
            ("Connection", "keep-alive"),
        ],
    )
    def test_a_faulty_handshake_gets_a_plain_400(self, client: Client, server: Server, drop: str, put: str | None):
        sessions = server.stats()["sessions"]
        headers = [(name, value) for name, value in upgrade_headers(new_key()) if name != drop]
        response = client.refused_websocket(target_of("websocket"), headers + ([(drop, put)] if put is not None else []))
        assert response.status == 400
        assert server.stats()["sessions"] <= sessions

    def test_an_upgrade_over_http_1_0_gets_a_plain_400(self, client: Client):
        connection = client.connect()
        headers = [("Host", connection.authority), *upgrade_headers(new_key())]
        connection.send(encode_request("GET", target_of("websocket"), headers, None, version="HTTP/1.0"))
        assert connection.read_response().status == 400

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_an_upgrade_by_another_method_is_refused(self, client: Client, method: str):
        connection = client.connect()
        response = connection.request(method, target_of("websocket"), upgrade_headers(new_key()), b"")
        assert response.status == 400


class TestControlFrames:
    def test_a_ping_is_answered_by_a_pong_with_its_data(self, client: Client):
        ws = client.open_websocket()
        for data in (b"", b"abc", b"x" * 125):
            ws.send_frame(PING, data)
            assert ws.receive_frame() == (PONG, data, True)

    def test_a_ping_between_fragments_is_answered_at_once(self, client: Client):
        ws = client.open_websocket()
        ws.send_frame(TEXT, b"4hel", fin=False)
        ws.send_frame(PING, b"now")
        assert ws.receive_frame() == (PONG, b"now", True)
        ws.send_frame(CONTINUATION, b"lo")
        assert ws.receive_data() == ["hello"]

    def test_an_unasked_pong_changes_nothing(self, client: Client):
        ws = client.open_websocket()
        for _ in range(100):
            ws.send_frame(PONG, b"nobody asked")
        assert ws.request("still here") == ["still here"]

    def test_an_unasked_engineio_pong_changes_nothing(self, client: Client):
        ws = client.open_websocket()
        ws.send(*["3"] * 100, "3probe")
        assert ws.request("still here") == ["still here"]


FAULTS = {
    "unmasked frame": (encode_frame(TEXT, b"4x", mask=False), 1002),
    "first reserved bit": (encode_frame(TEXT, b"4x", rsv=4), 1002),
    "third reserved bit": (encode_frame(TEXT, b"4x", rsv=1), 1002),
    "unknown data opcode": (encode_frame(3, b"4x"), 1002),
    "unknown control opcode": (encode_frame(0xB, b""), 1002),
    "oversize ping": (encode_frame(PING, b"x" * 126), 1002),
    "fragmented ping": (encode_frame(PING, b"x", fin=False), 1002),
    "continuation of nothing": (encode_frame(CONTINUATION, b"x"), 1002),
    "message within a message": (encode_frame(TEXT, b"4x", fin=False) + encode_frame(TEXT, b"4y"), 1002),
    "close code of one byte": (encode_frame(CLOSE, b"\x03"), 1002),
    "close code that may not be sent": (encode_frame(CLOSE, struct.pack("!H", 1005)), 1002),
    "bad utf-8": (encode_frame(TEXT, b"4\xff\xfe"), 1007),
    "bad utf-8 over fragments": (encode_frame(TEXT, b"4\xf0\x9f", fin=False) + encode_frame(CONTINUATION, b"x"), 1007),
    "bad utf-8 in a close reason": (encode_frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    "text over the limit": (encode_frame(TEXT, b"4" + b"x" * LIMIT), 1009),
    "binary over the limit": (encode_frame(BINARY, b"x" * (LIMIT + 1)), 1009),
    "fragments over the limit": (
        encode_frame(BINARY, b"x" * LIMIT, fin=False) + encode_frame(CONTINUATION, b"x"),
        1009,
    ),
}
PACKETS = ["", "0{}", "2", "2probe", "5", "6", "7", "abc", "\uff14hello"]


class TestFaults:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_frame_against_the_rules_closes_with_its_code(self, client: Client, server: Server, fault: str):
        ws, other = client.open_websocket(), client.open_websocket()
        frames, code = FAULTS[fault]
        ws.send_raw(frames)
        assert ws.expect_close() == code
        assert server.wait_disconnected(ws.sid) in ("transport error", "transport close")
        assert server.received(ws.sid) == []
        assert other.request("unharmed") == ["unharmed"]

    @pytest.mark.parametrize("length", [LIMIT + 1, 1 << 32, (1 << 63) - 1])
    def test_a_length_over_the_limit_is_refused_before_its_bytes_come(self, client: Client, server: Server, length: int):
        ws = client.open_websocket()
        ws.send_raw(struct.pack("!BBQ", 0x82, 0x80 | 127, length) + b"mask")
        assert ws.expect_close() == 1009
        server.wait_disconnected(ws.sid)

    @pytest.mark.parametrize("packet", PACKETS)
    def test_a_packet_that_a_client_may_not_send_closes(self, client: Client, server: Server, packet: str):
        ws = client.open_websocket()
        ws.send(packet)
        assert ws.expect_close() in (1002, 1007, 1008)
        assert server.wait_disconnected(ws.sid) == "transport error"

    def test_what_came_before_the_fault_is_still_handled(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send_raw(encode_frame(TEXT, b"4good") + encode_frame(3, b"bad"))
        assert ws.expect_close() == 1002
        server.wait_disconnected(ws.sid)
        assert server.received(ws.sid) == ["str:good"]

    def test_nothing_after_the_fault_is_handled(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send_raw(encode_frame(3, b"bad") + encode_frame(TEXT, b"4too late"))
        assert ws.expect_close() == 1002
        server.wait_disconnected(ws.sid)
        assert server.received(ws.sid) == []


class TestClosing:
    @pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
    def test_a_close_frame_is_answered_and_tcp_ends_cleanly(self, client: Client, server: Server, code: int):
        ws = client.open_websocket()
        assert ws.close(code) == code
        assert server.wait_disconnected(ws.sid) == "transport close"

    def test_a_close_frame_without_a_code_is_answered(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send_frame(CLOSE)
        assert ws.finish_close() in (None, 1000)
        assert server.wait_disconnected(ws.sid) == "transport close"

    def test_messages_right_before_a_close_frame_are_answered_first(self, client: Client, server: Server):
        ws = client.open_websocket()
        close = encode_frame(CLOSE, struct.pack("!H", 1000))
        ws.send_raw(encode_frame(TEXT, b"4one") + encode_frame(TEXT, b"4two") + close)
        server.wait_disconnected(ws.sid)
        assert server.received(ws.sid) == ["str:one", "str:two"]

    def test_a_close_packet_ends_the_connection_cleanly(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send("1")
        ws.expect_close()
        assert server.wait_disconnected(ws.sid) == "client disconnect"

    def test_a_client_that_vanishes_is_a_transport_close(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.drop()
        assert server.wait_disconnected(ws.sid) == "transport close"

    def test_a_reset_connection_is_one_disconnect(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.abort()
        assert server.wait_disconnected(ws.sid) in ("transport close", "transport error")

    def test_a_client_that_vanishes_within_a_frame_is_one_disconnect(self, client: Client, server: Server):
        ws = client.open_websocket()
        ws.send_raw(encode_frame(TEXT, b"4" + b"x" * 1000)[:500])
        ws.drop()
        server.wait_disconnected(ws.sid)
        assert server.received(ws.sid) == []


def test_two_hundred_connections_come_and_go_without_a_trace(client: Client, server: Server):
    before = server.stats()
    for number in range(200):
        ws = client.open_websocket()
        if number % 4 == 0:
            ws.drop()
        elif number % 4 == 1:
            ws.close()
        elif number % 4 == 2:
            ws.abort()
        else:
            ws.send("1")
            ws.expect_close()
    wait_until(lambda: server.stats()["sessions"] <= before["sessions"], "the sessions to end")
    wait_until(lambda: server.stats()["descriptors"] <= before["descriptors"] + 2, "the descriptors to be closed")
    assert server.stats()["threads"] <= before["threads"] + 4


