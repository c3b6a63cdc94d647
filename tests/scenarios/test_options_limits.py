"""How many clients come in how fast, whose word counts for their addresses, and what they are greeted with."""

from __future__ import annotations

import json
import time
from itertools import count

import pytest

from .client import Client, packets_of, target_of
from .servers import Server
from .test_options import FRONT, TRANSPORTS, UNTRUSTING, ask, record_of
from .waiting import wait_until
from .wire import Headers, Response

LIMITS = pytest.mark.server_options(
    max_sessions=4,
    max_sessions_per_address=2,
    handshake_rate=[6, 3],
    initial_packet={"welcome": ["ä", 1]},
    per_message_deflate={
        "threshold": 200,
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
        "server_max_window_bits": 10,
        "client_max_window_bits": 9,
    },
    trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"],
)


class TestTrustedProxies:
    PROXIED: Headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "chat.example")]
    ORIGIN: Headers = [("Origin", "https://chat.example")]

    @FRONT
    def test_by_default_a_proxy_on_this_machine_is_believed(self, client: Client):
        response = client.keep(client.http("GET", target_of(), self.PROXIED + self.ORIGIN))
        assert response.status == 200
        assert response.header("Access-Control-Allow-Origin") == "https://chat.example"
        ws = client.open_websocket(headers=self.PROXIED + self.ORIGIN)
        assert ws.request("hello") == ["hello"]
        assert client.http("GET", target_of(), self.ORIGIN).status == 400

    @FRONT
    def test_the_address_of_a_client_is_the_one_that_its_proxy_saw(self, client: Client):
        for forwarded, address in (
            ("203.0.113.7", "203.0.113.7"),
            ("1.2.3.4, 203.0.113.7", "203.0.113.7"),
            ("1.2.3.4, 203.0.113.7, 127.0.0.1", "203.0.113.7"),
            ("127.0.0.1", "127.0.0.1"),
        ):
            headers = [("X-Forwarded-For", forwarded)]
            assert record_of(client, client.open_polling(headers=headers).sid)["address"] == address
            assert record_of(client, client.open_websocket(headers=headers).sid)["address"] == address

    @UNTRUSTING
    def test_no_proxy_is_believed_when_the_list_is_empty(self, client: Client):
        assert ask(client, "polling", headers=self.PROXIED + self.ORIGIN).status == 400
        assert ask(client, "websocket", headers=self.PROXIED + self.ORIGIN).status == 400
        session = client.open_polling(headers=[("X-Forwarded-For", "203.0.113.7")])
        assert record_of(client, session.sid)["address"] == "127.0.0.1"


@LIMITS
class TestLimits:
    numbers = count(1)

    @pytest.fixture(autouse=True)
    def _nobody_left(self, server: Server):
        wait_until(lambda: server.stats()["sessions"] == 0, "the clients of other cases to be gone")

    def somebody(self) -> Headers:
        """The headers of a client that nobody has seen before."""
        return [("X-Forwarded-For", f"203.0.113.{next(self.numbers)}")]

    def assert_full(self, response: Response) -> None:
        assert response.status == 503
        assert int(response.header("Retry-After") or 0) > 0
        assert response.header("Content-Type") == "application/json"
        assert response.json() == {"code": 4, "message": "Too many sessions"}

    def test_one_address_has_so_many_sessions_until_one_ends(self, client: Client, server: Server):
        address = self.somebody()
        session, ws = client.open_polling(headers=address), client.open_websocket(headers=address)
        for transport in ("polling", "websocket"):
            self.assert_full(ask(client, transport, headers=address))
        assert server.stats()["sessions"] == 2
        client.open_polling(headers=self.somebody())
        session.close()
        server.wait_disconnected(session.sid)
        again = client.open_websocket(headers=address)
        self.assert_full(ask(client, "polling", headers=address))
        for socket in (ws, again):
            socket.abort()
            server.wait_disconnected(socket.sid)
        client.open_polling(headers=address)

    def test_there_are_so_many_sessions_in_all_until_one_ends(self, client: Client, server: Server):
        sessions = [client.open_polling(headers=self.somebody()) for _ in range(4)]
        for transport in ("polling", "websocket"):
            self.assert_full(ask(client, transport, headers=self.somebody()))
        # Who is in already is not touched by that.
        ws, _ = sessions[0].upgrade()
        ws.send("4hello")
        assert ws.receive() == "4hello"
        ws.close()
        server.wait_disconnected(sessions[0].sid)
        client.open_websocket(headers=self.somebody())
        self.assert_full(ask(client, "polling", headers=self.somebody()))

    def test_refused_and_failed_handshakes_take_no_place(self, client: Client, server: Server):
        for _ in range(3):
            address = self.somebody()
            assert ask(client, "polling", "reject=false", address).status == 401
            assert ask(client, "websocket", "reject=false", address).status == 401
            headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), *address]
            assert client.refused_websocket(target_of("websocket"), headers).status == 400
        assert [client.open_websocket(headers=self.somebody()).sid for _ in range(4)]

    def test_handshakes_of_one_address_come_no_faster_than_its_rate(self, client: Client, server: Server):
        address = self.somebody()
        begin = time.monotonic()

        def refused() -> bool:
            response = client.http("GET", target_of(), address)
            if response.status != 200:
                self.assert_full(response)
                return True
            sid = json.loads(packets_of(response)[0][1:])["sid"]
            client.http("POST", target_of("polling", sid), address, b"1")
            server.wait_disconnected(sid)
            return False

        taken = next(number for number in count() if refused())
        assert 6 <= taken <= 6 + 2 * (time.monotonic() - begin) + 1
        client.open_polling(headers=self.somebody())
        wait_until(lambda: not refused(), "the address to be let in again", 3)

    @TRANSPORTS
    def test_the_initial_packet_comes_before_anything_else(self, client: Client, transport: str):
        expected = {"welcome": ["ä", 1]}
        if transport == "websocket":
            ws = client.open_websocket("hello=1", self.somebody())
            first, second = ws.receive_data(2)
        else:
            first, second = client.open_polling("hello=1", self.somebody()).receive(2)
        assert json.loads(first) == expected
        assert second == "hello 0"
