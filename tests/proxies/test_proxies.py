"""The examples' configurations at work: both transports, silence, size, affinity, a server that goes, TLS in front."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests
from programs import check_echo, free_port
from scenarios.waiting import wait_until

from .running import OPTIONS, Site, backends, proxy, start_backend
from .visitors import Visitor, WebSocket

MEGABYTE = 999_999  # with the packet's type the server's limit
ADDRESSES = [f"127.0.0.{number}" for number in range(11, 35)]

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def test_both_transports_and_the_upgrade_pass(site: Site):
    check_echo(site.url)


def test_both_transports_and_the_upgrade_pass_where_tls_ends_at_the_proxy(
    site: Site, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    for variable in ("REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(certificate[0]))
    check_echo(site.secure_url)


def test_a_silent_websocket_gets_its_pings(site: Site):
    silent = WebSocket.direct(site.url)
    for _ in range(2):
        assert silent.receive_packet() == "2"
        silent.send_packet("3")
    assert silent.ask("still here") == "still here"
    silent.close()


def test_a_held_poll_gets_its_ping_when_it_is_due_and_not_later(site: Site):
    visitor = Visitor(site.url)
    visitor.open()
    began = time.monotonic()
    assert visitor.request("GET").text == "2"
    assert OPTIONS["ping_interval"] - 0.2 < time.monotonic() - began < OPTIONS["ping_interval"] + 1
    visitor.close()


def test_a_megabyte_goes_both_ways_on_both_transports(site: Site):
    text = "m" * MEGABYTE
    visitor = Visitor(site.url)
    visitor.open()
    assert visitor.ask(text) == text
    moved = visitor.upgrade()
    assert moved.ask(text) == text
    moved.close()


def test_a_client_that_sends_too_much_is_refused_and_harms_nobody_else(site: Site):
    """A server that refuses by the length alone may close before the proxy has read why."""
    for address in ADDRESSES[:8]:
        neighbour, visitor = Visitor(site.url, address), Visitor(site.url, address)
        neighbour.open()
        visitor.open()
        home = neighbour.ask("who")
        try:
            status = visitor.request("POST", b"4" + b"m" * (MEGABYTE + 2)).status_code
        except requests.ConnectionError:
            status = 0
        assert status in (0, 413, 502)
        assert neighbour.ask("who") == home
        neighbour.close()


def test_clients_are_shared_out_and_stay_with_their_process(site: Site):
    visitors = [Visitor(site.url, address, cookies=False) for address in ADDRESSES]
    homes = []
    for visitor in visitors:
        visitor.open()
        homes.append(visitor.ask("who"))
    assert set(homes) == {"first", "second"}
    for visitor, home in zip(visitors, homes, strict=True):
        assert visitor.ask("who") == home
        moved = visitor.upgrade()
        assert moved.ask("who") == home
        moved.close()


def test_clients_that_keep_their_connection_stay_with_their_process(site: Site):
    visitors = [Visitor(site.url, address, keep=True) for address in ADDRESSES[:8]]
    for visitor in visitors:
        visitor.open()
        assert {visitor.ask("who") for _ in range(5)} in ({"first"}, {"second"})
        visitor.close()


def test_the_server_learns_the_address_of_the_client(site: Site):
    visitor = Visitor(site.url, "127.0.0.77", **{"X-Forwarded-For": "192.0.2.1"})
    visitor.open()
    assert visitor.ask("from where") == "127.0.0.77"
    visitor.close()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_pages_of_the_site_are_let_in_and_others_are_not(site: Site, secure: bool):
    url = site.secure_url if secure else site.url
    own = Visitor(url, Origin=url.rstrip("/"))
    answer = own.open()
    assert answer.status_code == 200, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == url.rstrip("/")
    cookie = next(part for part in answer.raw.headers.getlist("Set-Cookie") if part.startswith("io="))
    assert ("Secure" in cookie) == secure
    own.close()
    for origin in ("https://127.0.0.1", "http://127.0.0.1:1", "https://other.example"):
        assert Visitor(url, Origin=origin).open().status_code == 400, origin


def test_haproxy_keeps_a_client_with_its_process_by_cookie_when_its_address_changes(
    ports: list[int], certificate: tuple[Path, Path], tmp_path: Path
):
    with proxy("haproxy", tmp_path, certificate, ports) as site:
        visitor = Visitor(site.url, ADDRESSES[0])
        visitor.open()
        home = visitor.ask("who")
        for address in ADDRESSES[1:]:
            visitor.move(address)
            assert visitor.ask("who") == home
        visitor.close()


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_clients_of_a_server_that_goes_find_another_and_new_ones_find_it_again(
    kind: str, certificate: tuple[Path, Path], tmp_path: Path
):
    ports = [free_port(), free_port()]
    with backends(ports) as servers, proxy(kind, tmp_path, certificate, ports) as site:
        visitors = [Visitor(site.url, address) for address in ADDRESSES[:12]]
        homes = {}
        for visitor in visitors:
            visitor.open()
            homes[visitor] = visitor.ask("who")
        lost = [visitor for visitor in visitors if homes[visitor] == "first"]
        kept = [visitor for visitor in visitors if homes[visitor] == "second"]
        moved = lost[0].upgrade()
        servers["first"].kill()

        assert moved.receive_packet() in ("", "2")
        for visitor in lost[1:]:
            assert visitor.request("POST", b"4x").status_code in (400, 502, 503)
        for visitor in lost:
            wait_until(lambda visitor=visitor: visitor.open().status_code == 200, "another session", 10, 0.1)
            assert visitor.ask("who") == "second"
        for visitor in kept:
            assert visitor.ask("who") == "second"

        with start_backend("first", ports[0]):
            wait_until(lambda: "first" in homes_of(site.url), "clients on the server that is back", 15, 0.2)


def homes_of(url: str) -> set[str]:
    """Who serves clients that come just now."""
    found = set()
    for address in ADDRESSES[:12]:
        visitor = Visitor(url, address)
        try:
            if visitor.open().status_code == 200:
                found.add(visitor.ask("who"))
                visitor.close()
        except (AssertionError, requests.ConnectionError):
            pass  # the proxy has just changed its mind about a server
    return found
