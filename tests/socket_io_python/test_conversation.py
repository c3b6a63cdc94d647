"""What a client and a server say to each other: each kind of client with servers of each kind, on old and new releases.

The two sides run on this package, but for the server on Node.
"""

from __future__ import annotations

import pytest
from scenarios.waiting import wait_until

from .conftest import NEWEST, Clients, Pair
from .serving import KINDS, Servers, unique_user
from .talking import Failed

BOTH = ["/", "/second"]
EVERYTHING = ["ä€😀", b"\0\xff", {"a": [1, None, {"b": b"deep"}]}, [], 1.5, True, None]


def test_acknowledgements_go_both_ways(pair: Pair, transport: str):
    client = pair.connect(transport)
    assert client.call("echo", "one") == "one"
    assert client.call("echo", "one", "two") == ["one", "two"]
    assert client.call("call", None, "how?") == ["answer", "how?"]
    client.emit("ask", None, "why?")
    assert client.wait_for("answered") == [["answer", "why?"]]
    client.emit("echo", "later", callback=True)
    assert client.wait_for("callback", namespace=None) == [["later"]]


def test_every_kind_of_data_comes_back_as_it_was(pair: Pair, transport: str):
    client = pair.connect(transport)
    assert client.call("echo", *EVERYTHING) == EVERYTHING
    client.emit("say", *EVERYTHING)
    assert client.wait_for("said") == [EVERYTHING]
    client.emit("ask", None, {"binary": b"\1\2"})
    assert client.wait_for("answered") == [["answer", {"binary": b"\1\2"}]]
    large = b"\xf0" * 300_000
    assert client.call("echo", large, "x" * 300_000) == [large, "x" * 300_000]


def test_events_stay_in_their_namespace(pair: Pair, transport: str):
    user = unique_user()
    client = pair.connect(transport, user, namespaces=BOTH)
    for namespace in BOTH:
        assert client.call("who am i", namespace=namespace) == user
        assert client.call("join", "room", namespace=namespace) is True
        client.emit("say", f"in {namespace}", namespace=namespace)
        assert client.call("tell", "room", f"in {namespace}", namespace=namespace) is True
    for namespace in BOTH:
        assert client.wait_for("told", namespace=namespace) == [[f"in {namespace}"]]
        assert client.got("said", namespace) == [[f"in {namespace}"]]


def test_namespace_that_the_server_ends_leaves_the_other_one(pair: Pair, transport: str):
    user = unique_user()
    client = pair.connect(transport, user, namespaces=BOTH)
    client.emit("end", None, namespace="/second")
    reasons = client.wait_for("disconnect", namespace="/second")
    assert reasons == ([["server disconnect"]] if pair.client_kind.release.version >= (5, 12) else [[]])
    reason = pair.served.gone(user, "/second")
    named = "server namespace disconnect" if pair.served.kind.name == "node" else "server disconnect"
    assert reason == ([named] if pair.served.knows_reasons else [])
    assert client.call("echo", "still here") == "still here"
    assert client.got("disconnect") == []


def test_rooms_have_the_members_that_joined_and_stayed(pair: Pair, transport: str):
    ann, bob, eve = members = [pair.connect(transport, unique_user(name)) for name in ("ann", "bob", "eve")]
    room = unique_user("room")
    assert ann.call("join", room) is True
    assert bob.call("join", room) is True
    assert eve.call("tell", room, "first") is True
    assert ann.call("tell others", room, "second", b"2") is True
    assert ann.call("leave", room) is True
    assert eve.call("tell", room, "third") is True
    assert eve.call("close", room) is True
    assert eve.call("tell", room, "to nobody") is True
    assert eve.call("tell", None, "to all") is True
    told = [client.wait_for("told", count) for client, count in zip(members, (2, 4, 1), strict=True)]
    assert told == [
        [["first"], ["to all"]],
        [["first"], ["second", b"2"], ["third"], ["to all"]],
        [["to all"]],
    ]


def test_events_come_in_the_order_in_which_they_were_emitted(pair: Pair, transport: str):
    client = pair.connect(transport)
    client.emit("count", 300)
    assert client.wait_for("number", 300) == [[value] for value in range(300)]


def test_client_that_is_refused_is_told_why(pair: Pair, transport: str):
    if pair.client_kind.release.version >= (5, 1):
        client = pair.make()
        with pytest.raises(Failed) as refusal:
            pair.connect_it(client, transport, "nobody")
        assert refusal.value.name == "ConnectionError"
        assert refusal.value.arguments == ["One or more namespaces failed to connect: /"]
    else:  # it does not wait for the answer, and knows no auth
        client = pair.make()
        client.do("connect", f"{pair.served.url}/?user=nobody", namespaces=["/"])
    told = client.wait_for("connect_error")
    known = {"known": ["ann", "bob"]}
    # The oldest servers send a list, as it was at the time.
    release = pair.served.kind.release
    in_a_list = release is not None and release.version < (5, 0, 4)
    assert told == ([["who are you?", known]] if in_a_list else [[{"message": "who are you?", "data": known}]])
    if pair.client_kind.release.version >= (5, 1):
        wait_until(lambda: client.do("connected") is False, "the client to give up")
    assert client.got("connect") == []


def test_client_that_says_goodbye_is_gone_for_that_reason(pair: Pair, transport: str):
    user = unique_user()
    client = pair.connect(transport, user, namespaces=BOTH)
    client.do("disconnect")
    if pair.client_kind.release.version >= (5, 12):  # before, its own goodbye was no event
        assert client.wait_for("disconnect") == [["client disconnect"]]
    for namespace in BOTH:
        reason = pair.served.gone(user, namespace)
        if pair.served.kind.name == "node":
            # It works packets off a moment later than the end of the connection that comes in the same body.
            assert reason in (["client namespace disconnect"], ["transport close"])
        else:
            assert reason == (["client disconnect"] if pair.served.knows_reasons else [])


@pytest.mark.parametrize("kind", list(KINDS))
def test_client_whose_process_is_killed_is_gone(kind: str, servers: Servers, all_clients: Clients):
    served, user = servers.get(KINDS[kind]), unique_user()
    process = all_clients.start(NEWEST.release, NEWEST.class_name)
    try:
        url, options = served.introduction(user)
        process.make(NEWEST.class_name).connect(url, "websocket", namespaces=BOTH, **options)
    finally:
        process.kill()
    for namespace in BOTH:
        reason = served.gone(user, namespace)
        assert reason in ([["transport close"], ["transport error"]] if served.knows_reasons else [[]])
    served.check_log()
