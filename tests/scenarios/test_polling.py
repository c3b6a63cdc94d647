"""Long-polling: what goes in comes out, in order, at once, in the form that the client asked for."""

from __future__ import annotations

import gzip
import json
import statistics
import time
import zlib

import pytest

from .client import Client, packets_of
from .servers import Server
from .wire import Response

UNICODE = "plain, ümläut, 日本語, 😀 four bytes, \u2028 line separator, \x00 zero, \ufeff mark"


class TestMessages:
    def test_messages_come_back_in_order(self, client: Client):
        session = client.open_polling()
        texts = [f"message {number}" for number in range(100)]
        assert session.request(*texts) == texts

    def test_more_than_sixteen_packets_in_a_body_are_fine(self, client: Client):
        session = client.open_polling()
        texts = [str(number) for number in range(500)]
        assert session.request(*texts) == texts

    @pytest.mark.parametrize("data", [b"", b"\x00", bytes(range(256)), b"\xff" * 1023])
    def test_binary_comes_back_as_it_was(self, client: Client, data: bytes):
        assert client.open_polling().request(data) == [data]

    def test_unicode_comes_back_as_it_was(self, client: Client):
        assert client.open_polling().request(UNICODE) == [UNICODE]

    def test_an_empty_text_is_a_message(self, client: Client, server: Server):
        session = client.open_polling()
        assert session.request("") == [""]
        assert server.received(session.sid) == ["str:"]

    @pytest.mark.parametrize("data", [{"a": 1, "b": [True, None, "ü"]}, [1, "two", {"three": 3}], {}, []])
    def test_objects_and_arrays_reach_the_application_as_such(self, client: Client, server: Server, data: object):
        session = client.open_polling()
        (answer,) = session.request(data)
        assert json.loads(answer) == data
        assert server.received(session.sid)[0].startswith(type(data).__name__ + ":")

    @pytest.mark.parametrize("text", ["true", "null", "12", "-1.5", "NaN", '"quoted"', "{not json", "[1,", " {}", "1e400"])
    def test_every_other_text_stays_a_text(self, client: Client, server: Server, text: str):
        session = client.open_polling()
        assert session.request(text) == [text]
        assert server.received(session.sid) == [f"str:{text}"]

    def test_text_and_binary_keep_their_order(self, client: Client):
        session = client.open_polling()
        items = ["a", b"\x01", "b", b"\x02\x03", "c"]
        assert session.request(*items) == items


class TestPolls:
    def test_a_held_poll_is_answered_as_soon_as_there_is_a_message(self, client: Client):
        session = client.open_polling()
        held = session.begin_poll()
        assert not held.answered(within=0.2)
        session.send("now")
        assert held.packets(timeout=1) == ["4now"]

    def test_a_message_from_another_client_ends_a_held_poll(self, client: Client):
        waiting, other = client.open_polling(), client.open_polling()
        held = waiting.begin_poll()
        other.send({"cmd": "send_to", "sid": waiting.sid, "data": "from afar"})
        assert held.packets() == ["4from afar"]

    def test_what_was_sent_between_polls_waits_for_the_next_one(self, client: Client):
        session = client.open_polling()
        session.send("one")
        session.send("two", "three")
        assert session.receive(3) == ["one", "two", "three"]

    def test_an_echo_does_not_wait_for_a_delayed_acknowledgement(self, client: Client):
        session = client.open_polling()
        took = []
        for number in range(60):
            held = session.begin_poll()
            begin = time.perf_counter()
            session.send(f"{number}")
            assert held.packets() == [f"4{number}"]
            took.append(time.perf_counter() - begin)
        assert statistics.median(took) < 0.015, f"median {statistics.median(took) * 1000:.1f} ms"

    def test_a_client_that_goes_away_during_its_poll_loses_nothing(self, client: Client):
        session = client.open_polling()
        held = session.begin_poll()
        assert not held.answered(within=0.05)
        session.send("a")
        assert held.packets() == ["4a"]
        assert session.request("b") == ["b"]

    def test_every_answer_says_no_store(self, client: Client):
        session = client.open_polling()
        session.send("x")
        for response in (session.get(), session.post_body("4y")):
            assert response.header("Cache-Control") == "no-store"
            assert response.header("X-Content-Type-Options") in (None, "nosniff")

    def test_texts_and_answers_name_their_type(self, client: Client):
        session = client.open_polling()
        session.send("x")
        assert (session.get().header("Content-Type") or "").lower().replace(" ", "") == "text/plain;charset=utf-8"

    @pytest.mark.parametrize("path", ["/engine.io", "/engine.io/"])
    def test_the_last_slash_of_the_path_does_not_matter(self, client: Client, path: str):
        response = client.http("GET", f"{path}?EIO=4&transport=polling")
        assert packets_of(response)[0].startswith("0{")

    def test_a_cache_buster_changes_nothing(self, client: Client):
        response = client.http("GET", "/engine.io/?t=Ab3_x&transport=polling&EIO=4")
        assert packets_of(response)[0].startswith("0{")

    @pytest.mark.parametrize("path", ["/", "/elsewhere", "/engine.iox/", "/other/engine.io/"])
    def test_other_paths_go_to_the_other_application(self, client: Client, path: str):
        response = client.http("GET", f"{path}?EIO=4&transport=polling")
        assert (response.status, response.body) == (404, b"not here\n")

    def test_a_broadcast_reaches_each_transport_in_its_own_form(self, client: Client):
        polling, ws = client.open_polling(), client.open_websocket()
        ws.send_data({"cmd": "send_binary", "n": 4})
        assert ws.receive_data() == [b"\x00\x01\x02\x03"]
        ws.send_data({"cmd": "broadcast", "data": {"to": "all"}})
        assert [json.loads(text) for text in ws.receive_data()] == [{"to": "all"}]
        assert [json.loads(text) for text in polling.receive()] == [{"to": "all"}]


def plain_of(response: Response) -> bytes:
    """The body with its content coding taken off."""
    coding = response.header("Content-Encoding")
    if coding == "gzip":
        return gzip.decompress(response.body)
    if coding == "deflate":
        return zlib.decompress(response.body)
    assert coding in (None, "identity")
    return response.body


class TestCompression:
    LONG = "compressible " * 500

    def answer_of(self, client: Client, accept: str | None, text: str) -> Response:
        session = client.open_polling()
        session.send(text)
        session.headers = [("Accept-Encoding", accept)] if accept is not None else []
        return session.get()

    @pytest.mark.parametrize(
        ("accept", "coding"),
        [
            ("gzip", "gzip"),
            ("deflate", "deflate"),
            ("gzip, deflate, br", "gzip"),
            ("br", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("gzip;q=0, deflate", "deflate"),
            ("gzip;q=0.4, deflate;q=0.8", "deflate"),
            ("deflate;q=0.4, gzip;q=0.8", "gzip"),
            ("GZIP;Q=0.5", "gzip"),
            ("*", "gzip"),
            ("gzip;q=0, *;q=0.5", "deflate"),
            ("identity;q=1, gzip;q=0.5", None),
            ("", None),
            (None, None),
            ("gzip;q=nonsense", None),
        ],
    )
    def test_the_best_coding_that_the_client_takes_is_used(self, client: Client, accept: str | None, coding: str | None):
        response = self.answer_of(client, accept, self.LONG)
        assert response.status == 200
        assert response.header("Content-Encoding") == coding
        assert plain_of(response) == b"4" + self.LONG.encode()
        assert "accept-encoding" in response.tokens("Vary")

    def test_a_short_answer_is_not_compressed(self, client: Client):
        response = self.answer_of(client, "gzip", "short")
        assert response.header("Content-Encoding") is None
        assert response.body == b"4short"

    @pytest.mark.server_options(http_compression=False, cors_allowed_origins=[])
    def test_compression_can_be_turned_off(self, client: Client):
        response = self.answer_of(client, "gzip", self.LONG)
        assert response.header("Content-Encoding") is None
        assert response.body == b"4" + self.LONG.encode()

    @pytest.mark.server_options(compression_threshold=10, cors_allowed_origins="*", cookie="io", jsonp=True)
    @pytest.mark.parametrize(("text", "coding"), [("123456789", None), ("1234567890", "gzip")])
    def test_the_threshold_counts_the_bytes_of_the_answer(self, client: Client, text: str, coding: str | None):
        """Ten bytes are not over a threshold of ten, eleven are: the packet type counts."""
        assert self.answer_of(client, "gzip", text).header("Content-Encoding") == coding
