"""Pages and origins: what a browser lets our server decide. Chromium only, since Node sends no Origin and obeys no CORS."""

from __future__ import annotations

from typing import Any

import pytest

from .clients import Client
from .servers import ServerPool
from .test_messages import UPGRADE

TRANSPORTS = ["polling", "websocket"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_page_of_another_origin_is_refused_by_default(chromium: Client, servers: ServerPool, transport: str) -> None:
    page_from, server = servers.get(), servers.get(cors_allowed_origins=["http://elsewhere.example"])

    for one, other in ((server, page_from), (page_from, server)):
        facts = chromium.run("refused", one, page_from=other, options={"transports": [transport]})
        assert facts["events"] == ["error", "close"]
        assert facts["details"]["close"] == "transport error"


@pytest.mark.parametrize("credentials", [False, True], ids=["without-credentials", "with-credentials"])
@pytest.mark.parametrize("allowed", ["listed", "all"])
def test_a_page_of_an_allowed_origin_gets_in_and_upgrades(
    chromium: Client, servers: ServerPool, allowed: str, credentials: bool
) -> None:
    page_from = servers.get()
    server = servers.get(cors_allowed_origins="*" if allowed == "all" else [page_from.origin])
    options: dict[str, Any] = {**UPGRADE, "withCredentials": credentials}

    facts = chromium.run(
        "echo", server, page_from=page_from, options=options, messages=[{"text": "hello"}, {"json": {"a": 1}}]
    )

    assert facts["events"] == ["handshake", "open", "upgrade"]
    assert facts["transport"] == "websocket"
    assert [message["text"].replace(" ", "") for message in facts["received"]] == ["hello", '{"a":1}']


def test_a_header_of_the_pages_own_passes_the_preflight(chromium: Client, servers: ServerPool) -> None:
    page_from = servers.get()
    server = servers.get(cors_allowed_origins=[page_from.origin])
    options = {"transports": ["polling"], "extraHeaders": {"X-Interop": "yes"}}

    facts = chromium.run("echo", server, page_from=page_from, options=options, messages=[{"text": "hello"}])

    assert facts["received"] == [{"text": "hello"}]


def test_an_allowed_origin_sees_the_body_of_a_refusal(chromium: Client, servers: ServerPool) -> None:
    page_from = servers.get()
    server = servers.get(cors_allowed_origins=[page_from.origin])
    options = {"transports": ["polling"], "query": {"refuse": "not today"}}

    facts = chromium.run("refused", server, page_from=page_from, options=options)

    assert facts["details"]["error"] == {"message": "xhr poll error", "status": 401, "body": '"not today"'}
