"""What Flask-SocketIO adds: Flask's request and session in handlers. `manage_session` is true, as it is by default."""

from __future__ import annotations

from typing import Any

import pytest

from .places import NODE_PLACES, on, on_flask
from .servers import Server

flask_in_node = on(place for place in NODE_PLACES if place.setup.is_flask)


@on_flask
@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_handlers_have_a_copy_of_the_session_that_a_route_has_made(client: Any, server: Server, way: str):
    facts = client.run("flaskSession", server, options=server.options(way))

    assert (facts["user"], facts["color"]) == (["ann"], ["blue"])
    # It is one copy per client: neither a route nor a later client sees what a handler has changed.
    assert facts["byRoute"] == {"user": "ann"}
    assert facts["later"] == {"user": ["ann"], "color": []}


@on_flask
def test_handlers_have_the_request_that_the_client_has_connected_with(client: Any, server: Server):
    facts = client.run("flaskRequest", server, options=server.options(query={"name": "ann", "of": "ö"}))

    seen = facts["seen"]
    assert (seen["args"]["name"], seen["args"]["of"], seen["args"]["EIO"]) == ("ann", "ö", "4")
    assert seen["host"] == server.origin.removeprefix("http://")
    assert (seen["sid"], seen["namespace"]) == (facts["id"], "/")
    assert seen["event"] == {"message": "request", "args": ["argument"]}
    assert (facts["seenByOther"]["sid"], facts["seenByOther"]["namespace"]) == (facts["otherId"], "/other")


@flask_in_node
@pytest.mark.parametrize("way", ["polling", "websocket"])
def test_handlers_have_the_headers_of_that_request(client: Any, server: Server, way: str):
    headers = {"X-Test": "one of mine"}

    facts = client.run("flaskRequest", server, options=server.options(way, extraHeaders=headers))

    assert facts["seen"]["header"] == "one of mine"
