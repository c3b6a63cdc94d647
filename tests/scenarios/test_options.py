"""The options beyond the documented ones with which the application has its say: who comes in, events, headers, records."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .client import Client, SessionSocket, packets_of, target_of
from .frames import new_key, upgrade_headers
from .servers import Server
from .waiting import wait_until
from .wire import Headers, Response

# What waits for a client and its handlers is a matter of test_options_load.py; it shares this server to start fewer of them.
FRONT = pytest.mark.server_options(
    allow_request="$door",
    bind_session="$badge",
    http_headers="$more_headers",
    scenario=["events", "short"],
    max_buffered_bytes=4_000_000,
    max_blocked_handlers=4,
)
UNTRUSTING = pytest.mark.server_options(
    trusted_proxies=[],
    async_handlers=False,
    overflow="block",
    max_buffered_bytes=200_000,
    ping_interval=0.6,
    ping_timeout=0.6,
)
TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])


def ask(client: Client, transport: str, extra: str = "", headers: Headers | None = None) -> Response:
    """A handshake that is to be refused."""
    target = target_of(transport, extra=extra)
    if transport == "polling":
        return client.http("GET", target, headers)
    return client.refused_websocket(target, upgrade_headers(new_key()) + (headers or []))


def told(server: Server, start: int) -> list[Any]:
    """What connection_error told from the `start`-th time on."""
    return [detail for _, detail in server.events("refused")][start:]


def counts(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.http("GET", "/counts").json()
    return found


def record_of(client: Client, sid: str) -> dict[str, Any]:
    (record,) = [record for record in client.http("GET", "/clients").json() if record["sid"] == sid]
    return record


@FRONT
class TestAllowRequest:
    @TRANSPORTS
    @pytest.mark.parametrize(
        ("door", "message"),
        [("false", "Forbidden"), ("none", "Forbidden"), ("zero", "Forbidden"), ("members only", "members only")],
    )
    def test_who_is_not_allowed_gets_a_403_and_leaves_no_trace(
        self, client: Client, server: Server, transport: str, door: str, message: str
    ):
        before, refused = server.stats(), counts(client)["refused"].get("4", 0)
        start = len(told(server, 0))
        response = ask(client, transport, f"door={door.replace(' ', '+')}")
        assert response.status == 403
        assert response.header("Content-Type") == "application/json"
        assert response.json() == {"code": 4, "message": message}
        after = server.stats()
        assert (after["sessions"], after["connects"]) == (before["sessions"], before["connects"])
        assert counts(client)["refused"]["4"] == refused + 1
        assert told(server, start) == [[4, message, {"message": message}, True]]

    @TRANSPORTS
    @pytest.mark.expected_log("allow_request", "Traceback", "RuntimeError")
    def test_an_allow_request_that_raises_refuses(self, client: Client, server: Server, transport: str):
        connects = server.stats()["connects"]
        response = ask(client, transport, "door=raise")
        assert response.status == 403
        assert response.json() == {"code": 4, "message": "Forbidden"}
        assert server.stats()["connects"] == connects

    def test_who_is_allowed_comes_in(self, client: Client):
        assert client.open_polling("door=one").request("hello") == ["hello"]
        assert client.open_websocket("door=open").request("hello") == ["hello"]

    def test_other_refusals_are_told_to_the_application_too(self, client: Client, server: Server):
        start = len(told(server, 0))
        client.http("GET", target_of("polling", sid="nobody"))
        client.http("GET", target_of("smoke"))
        client.http("GET", target_of("polling"), [("Origin", "http://evil.example")])
        assert told(server, start) == [
            [1, "Session ID unknown", {"sid": "nobody"}, True],
            [0, "Transport unknown", {"transport": "smoke"}, True],
            [3, "Bad request", {"name": "INVALID_ORIGIN", "origin": "http://evil.example"}, True],
        ]


@FRONT
class TestBindSession:
    BADGE: Headers = [("X-Badge", "mine")]
    FOREIGN = pytest.mark.parametrize("headers", [[], [("X-Badge", "stolen")]], ids=["none", "another"])

    @FOREIGN
    def test_requests_without_the_badge_of_the_handshake_do_not_know_the_session(self, client: Client, headers: Headers):
        session = client.open_polling(headers=self.BADGE)
        for method, body in (("GET", None), ("POST", b"4stolen"), ("POST", b"1")):
            response = client.http(method, session.target, headers, body)
            assert (response.status, response.json()["code"]) == (400, 1)
        websocket = target_of("websocket", session.sid)
        response = client.refused_websocket(websocket, upgrade_headers(new_key()) + headers)
        assert (response.status, response.json()["code"]) == (400, 1)
        assert session.request("still mine") == ["still mine"]
        ws, _ = session.upgrade()
        ws.send("4upgraded")
        assert ws.receive() == "4upgraded"

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ([("Content-Length", "1000001")], None),
            ([("Content-Type", "application/octet-stream")], b"4x"),
            ([], b"9 no packet"),
        ],
        ids=["too-long", "octets", "malformed"],
    )
    def test_a_faulty_request_without_the_badge_does_not_end_the_session(
        self, client: Client, headers: Headers, body: bytes | None
    ):
        session = client.open_polling(headers=self.BADGE)
        response = client.http("POST", session.target, headers, body)
        assert (response.status, response.json()["code"]) == (400, 1)
        assert session.request("still mine") == ["still mine"]

    def test_a_poll_without_the_badge_does_not_disturb_the_held_one(self, client: Client):
        session = client.open_polling(headers=self.BADGE)
        held = session.begin_poll()
        assert not held.answered(0.05)
        assert client.http("GET", session.target).status == 400
        session.send("hello")
        assert held.packets() == ["4hello"]


@FRONT
class TestHttpHeaders:
    def test_they_are_on_every_answer_with_the_session_if_there_is_one(self, client: Client):
        session = client.open_polling()
        handshake = client.http("GET", target_of())
        sid = json.loads(packets_of(handshake)[0][1:])["sid"]
        assert handshake.header("X-Scenario") == sid
        assert session.post_body("4hello").header("X-Scenario") == session.sid
        assert session.get().header("X-Scenario") == session.sid
        assert client.http("GET", target_of("smoke")).header("X-Scenario") == "none"
        assert ask(client, "polling", "door=false").header("X-Scenario") == "none"
        assert ask(client, "websocket", "reject=false").header("X-Scenario") == "none"

    def test_they_are_on_a_101(self, client: Client):
        for sid in (None, client.open_polling().sid):
            connection = client.connect()
            target = target_of("websocket", sid, extra="headers=dict")
            response = connection.request("GET", target, upgrade_headers(new_key()))
            assert response.status == 101
            found = response.header("X-Scenario")
            assert found == sid or (sid is None and found not in (None, "none"))

    @pytest.mark.expected_log("http_headers", "Traceback", "ValueError", "RuntimeError")
    @pytest.mark.parametrize("kind", ["value", "name", "raise"])
    @TRANSPORTS
    def test_headers_that_would_break_the_response_are_left_out(
        self, client: Client, server: Server, transport: str, kind: str
    ):
        if transport == "polling":
            response = client.keep(client.http("GET", target_of(extra=f"headers={kind}")))
            assert packets_of(response)
        else:
            connection = client.connect()
            target = target_of("websocket", extra=f"headers={kind}")
            response = connection.request("GET", target, upgrade_headers(new_key()))
            assert response.status == 101
        assert response.header("X-Smuggled") is None
        assert response.header("X-Bad") is None
        assert "http_headers" in server.new_log()


@FRONT
class TestEvents:
    def test_an_upgrade_and_what_is_drained_are_told_in_order(self, client: Client, server: Server):
        session = client.open_polling()
        session.send("one")
        assert session.poll() == ["4one"]
        wait_until(lambda: ("drain", None) in server.events(session.sid), "the drain event of the poll")
        ws, _ = session.upgrade()
        ws.send("4two")
        assert ws.receive() == "4two"
        told = [event for event in server.events(session.sid) if event[0] in ("upgrade", "message")]
        assert told == [("message", "str:one"), ("upgrade", "websocket"), ("message", "str:two")]

    def test_a_websocket_that_reads_late_is_drained_once_it_has_read(self, client: Client, server: Server):
        ws, sender = client.open_websocket(receive_buffer=4096), client.open_websocket()
        sender.send_data({"cmd": "flood", "sid": ws.sid, "n": 55, "size": 100_000})
        wait_until(lambda: record_of(client, ws.sid)["buffered_bytes"] > 0, "something to wait for the client")
        assert ("drain", None) not in server.events(ws.sid)
        assert counts(client)["buffered_bytes"] >= record_of(client, ws.sid)["buffered_bytes"] > 0
        ws.receive_data(55)
        wait_until(lambda: ("drain", None) in server.events(ws.sid), "the drain event")
        assert record_of(client, ws.sid)["buffered_bytes"] == 0

    @TRANSPORTS
    def test_every_packet_is_shown_before_its_message(self, client: Client, server: Server, transport: str):
        session: Any = client.open_polling() if transport == "polling" else client.open_websocket()
        session.request("hello", b"\x01\x02")
        if transport == "polling":
            session.post("3")
        else:
            session.send("3")
        wait_until(lambda: ("packet", [3, "None"]) in server.events(session.sid), "the pong to be shown", 2)
        told = [event for event in server.events(session.sid) if event[0] in ("packet", "message")]
        assert [event for event in told if event[0] == "packet"] == [
            ("packet", [4, "'hello'"]),
            ("packet", [4, r"b'\x01\x02'"]),
            ("packet", [3, "None"]),
        ]
        assert told.index(("packet", [4, "'hello'"])) < told.index(("message", "str:hello"))

    def test_a_disconnect_handler_with_one_argument_gets_only_the_client(self, client: Client, server: Server):
        session, ws = client.open_polling(), client.open_websocket()
        session.close()
        ws.close()
        assert server.wait_disconnected(session.sid) == "unknown"
        assert server.wait_disconnected(ws.sid) == "unknown"


@FRONT
class TestBroadcastAndRecords:
    def test_a_broadcast_reaches_all_or_some_on_either_transport(self, client: Client, server: Server):
        one, two = client.open_polling(), client.open_websocket()
        three, four = client.open_polling(), client.open_websocket()
        ws, _ = three.upgrade()
        upgraded = SessionSocket(ws, three.handshake)
        receivers: list[Any] = [one, two, upgraded, four]
        for command, taking in [
            ({"data": {"to": "all ä"}}, receivers),
            ({"data": list(range(256)), "binary": True}, receivers),
            ({"data": "to two", "sids": [one.sid, four.sid]}, [one, four]),
            ({"data": "but one", "skip": two.sid}, [one, upgraded, four]),
            ({"data": "but two", "skip": [two.sid, one.sid]}, [upgraded, four]),
            ({"data": "some of some", "sids": [one.sid, two.sid, "nobody"], "skip": two.sid}, [one]),
        ]:
            four.send_data({"cmd": "announce", **command})
            data = command["data"]
            expected = bytes(data) if command.get("binary") else json.dumps(data, ensure_ascii=True, separators=(",", ":"))
            if isinstance(data, str):
                expected = data
            for receiver in taking:
                (found,) = receiver.receive_data() if receiver is not one else one.receive()
                assert found == expected or json.loads(found) == data
            wait_until(lambda taking=taking: ("announced", len(taking)) in server.events(four.sid)[-1:], "how many took it")
        for receiver in receivers:
            (last,) = receiver.request("last")
            assert last == "last", "a message that was meant for others"

    def test_the_counts_follow_what_happens(self, client: Client, server: Server):
        wait_until(lambda: server.stats()["sessions"] == 0, "the clients of other cases to be gone")
        before = counts(client)
        assert set(before) == {"sessions", "polling", "websocket", "upgrading", "buffered_bytes", "opened", "refused", "closed"}
        session, ws, moving = client.open_polling(), client.open_websocket(), client.open_polling()
        probing = moving.open_websocket()
        wait_until(lambda: counts(client)["upgrading"] == 1, "the upgrade to be counted")
        now = counts(client)
        assert (now["sessions"], now["polling"], now["websocket"]) == (3, 2, 1)
        assert now["opened"] == before["opened"] + 3
        probing.send("2probe", "5", "4x")
        wait_until(lambda: (counts(client)["websocket"], counts(client)["upgrading"]) == (2, 0), "the upgrade to be over")
        session.close()
        ws.drop()
        server.wait_disconnected(session.sid)
        server.wait_disconnected(ws.sid)
        now = counts(client)
        assert (now["sessions"], now["polling"], now["websocket"]) == (1, 0, 1)
        for reason in ("client disconnect", "transport close"):
            assert now["closed"][reason] == before["closed"].get(reason, 0) + 1

    def test_each_client_has_a_record(self, client: Client):
        begin = time.monotonic()
        session = client.open_polling()
        record = record_of(client, session.sid)
        assert 0 <= record.pop("seconds") <= time.monotonic() - begin
        assert record == {
            "sid": session.sid,
            "transport": "polling",
            "upgraded": False,
            "address": "127.0.0.1",
            "buffered_bytes": 0,
        }
        ws, _ = session.upgrade()
        ws.send("4x")
        assert ws.receive() == "4x"
        record = record_of(client, session.sid)
        assert (record["transport"], record["upgraded"]) == ("websocket", True)
        assert not record_of(client, client.open_websocket().sid)["upgraded"]
