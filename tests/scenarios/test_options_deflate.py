"""`per_message_deflate`: who gets compressed websocket messages, and what a client can do with them."""

from __future__ import annotations

import json
import random
import time
import zlib
from functools import cache
from typing import Any

import pytest

from .client import Client, Polling, target_of
from .deflating import OFFER, DeflatingSocket
from .frames import WebSocketClosed, new_key, upgrade_headers
from .servers import Server
from .test_options import FRONT
from .test_options_limits import LIMITS
from .test_options_load import DROPPING

# Compresses to nearly a half, and to nearly nothing when it is in the window already.
TEXT = random.Random(1).randbytes(1500).hex()


@cache
def make_bomb() -> bytes:
    """A hundred megabytes of zeros in a tenth of one."""
    deflater = zlib.compressobj(wbits=-15)
    return b"".join(deflater.compress(bytes(1_000_000)) for _ in range(100)) + deflater.flush(zlib.Z_SYNC_FLUSH)[:-4]


class Session(DeflatingSocket):
    """A session that starts on a websocket with compression."""

    def __init__(self, client: Client, offer: str = OFFER):
        super().__init__(client, target_of("websocket"), offer)
        first = self.receive_detailed()
        assert not first.compressed, "an open packet is short"
        self.handshake = json.loads(str(first.data)[1:])
        self.sid: str = self.handshake["sid"]

    def echo(self, text: str | bytes, **how: Any) -> Any:
        """Send and receive `text`; how it came back."""
        message = "4" + text if isinstance(text, str) else text
        self.send(message, **how)
        received = self.receive_detailed()
        assert received.data == message
        return received


@DROPPING
class TestByDefault:
    def test_long_messages_are_compressed_and_short_ones_are_not(self, client: Client):
        session = Session(client)
        assert session.accepted == {}
        long = session.echo(TEXT)
        assert long.compressed
        assert long.size < 0.7 * len(TEXT)
        assert session.echo(bytes(2000)).compressed
        assert not session.echo("short").compressed
        assert not session.echo("x" * 1000).compressed

    def test_the_threshold_counts_bytes(self, client: Client):
        assert Session(client).echo("€" * 400).compressed

    def test_each_side_keeps_its_window(self, client: Client):
        session = Session(client)
        first = session.send("4" + TEXT)
        assert session.receive_detailed().size > 1000
        assert session.echo(TEXT).size < 100
        assert session.send("4" + TEXT) < first / 10
        assert session.receive() == "4" + TEXT

    def test_messages_may_come_plain_compressed_and_in_parts_in_any_order(self, client: Client):
        session = Session(client)
        for compress, fragments, text in [
            (True, 3, TEXT),
            (False, 1, "plain"),
            (True, 1, ""),
            (False, 4, TEXT),
            (True, 1, "ä€😀" * 500),
            (True, 20, TEXT * 10),
        ]:
            session.echo(text, compress=compress, fragments=fragments)
        session.echo(random.Random(2).randbytes(150_000))

    def test_who_does_not_offer_it_does_not_get_it(self, client: Client):
        ws = client.open_websocket()
        assert ws.request(TEXT, TEXT) == [TEXT, TEXT]

    @pytest.mark.parametrize(
        "offer",
        [
            "x-webkit-deflate-frame",
            "permessage-deflate; server_max_window_bits=99",
            "permessage-deflate; what=ever",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            ";;;,=",
        ],
    )
    def test_an_offer_that_does_not_fit_is_no_reason_to_refuse(self, client: Client, offer: str):
        session = Session(client, offer)
        assert session.accepted is None
        assert not session.echo(TEXT, compress=False).compressed

    def test_the_first_offer_that_fits_is_taken(self, client: Client):
        offer = "x-other, permessage-deflate; server_max_window_bits=99, permessage-deflate; server_max_window_bits=11"
        session = Session(client, offer)
        assert session.accepted == {"server_max_window_bits": "11"}
        assert session.echo(TEXT).compressed

    @pytest.mark.parametrize("fragments", [1, 50])
    def test_a_bomb_is_refused_before_it_is_inflated(self, client: Client, server: Server, fragments: int):
        session, other = Session(client), client.open_websocket()
        before = server.stats()["peak_kilobytes"]
        session.codec.deflate = lambda payload: payload  # type: ignore[method-assign]
        bomb = make_bomb()
        begin = time.monotonic()
        try:
            session.send(bomb, fragments=fragments)
        except OSError:
            pass  # closed before everything was sent
        with pytest.raises(WebSocketClosed) as closed:
            session.receive()
        assert closed.value.code == 1009
        assert time.monotonic() - begin < 1
        assert other.request("fine") == ["fine"]
        assert server.wait_disconnected(session.sid) == "transport error"
        assert server.stats()["peak_kilobytes"] - before < 6_000

    def test_what_does_not_inflate_ends_the_websocket(self, client: Client, server: Server):
        session = Session(client)
        session.codec.deflate = lambda payload: b"\xff" * 50  # type: ignore[method-assign]
        session.send("4x")
        with pytest.raises(WebSocketClosed) as closed:
            session.receive()
        assert closed.value.code in (1002, 1007)
        assert server.wait_disconnected(session.sid) == "transport error"

    def test_a_broadcast_gives_each_client_its_own_form(self, client: Client):
        deflating, again, plain, polling = Session(client), Session(client), client.open_websocket(), client.open_polling()
        for data in (TEXT, "short", TEXT):
            plain.send_data({"cmd": "announce", "data": data})
            assert plain.receive_data() == polling.receive() == [data]
            for session in (deflating, again):
                received = session.receive_detailed()
                assert received.data == "4" + data
                assert received.compressed == (data == TEXT)
        plain.send_data({"cmd": "announce", "data": [7] * 3000, "binary": True})
        assert plain.receive_data() == polling.receive() == [b"\x07" * 3000]
        assert [deflating.receive(), again.receive()] == [b"\x07" * 3000] * 2

    def test_an_upgrade_may_be_compressed(self, client: Client, server: Server):
        session = client.open_polling()
        self.upgrade(client, session)

    def upgrade(self, client: Client, session: Polling) -> None:
        socket = DeflatingSocket(client, target_of("websocket", session.sid))
        socket.send("2probe")
        assert socket.receive() == "3probe"
        session.send(TEXT)
        held = session.begin_poll()
        assert held.packets() in (["4" + TEXT], ["6"])
        socket.send("5")
        session.over = True
        socket.send("4" + TEXT)
        received = socket.receive_detailed()
        assert received.data == "4" + TEXT
        assert received.compressed


@LIMITS
class TestSettings:
    """Windows of 1024 and 512 bytes, nothing kept from message to message."""

    def test_the_server_insists_on_its_own_settings(self, client: Client):
        session = Session(client)
        assert session.accepted == {
            "server_no_context_takeover": None,
            "client_no_context_takeover": None,
            "server_max_window_bits": "10",
            "client_max_window_bits": "9",
        }
        assert session.receive_detailed().data == '4{"welcome":["\\u00e4",1]}'
        sizes = {session.echo(TEXT).size for _ in range(3)}
        assert len(sizes) == 1, "a message refers to the one before"
        repeated = TEXT[:2000] * 5  # too far apart for the window: nothing of it can be found again
        assert session.echo(repeated).size > 0.5 * len(repeated)
        assert session.echo("x" * 300).compressed
        assert not session.echo("x" * 150).compressed

    def test_a_client_that_cannot_limit_its_window_keeps_it(self, client: Client):
        session = Session(client, "permessage-deflate")
        assert session.accepted is not None
        assert "client_max_window_bits" not in session.accepted, "a parameter that was not offered"
        assert "welcome" in str(session.receive())
        assert session.echo(TEXT[:2500] * 3).compressed


@FRONT
def test_without_the_option_an_offer_is_not_taken(client: Client, server: Server):
    headers = [*upgrade_headers(new_key()), ("Sec-WebSocket-Extensions", OFFER)]
    response = client.connect().request("GET", target_of("websocket"), headers)
    assert response.status == 101
    assert response.header("Sec-WebSocket-Extensions") is None
