"""`python -m engineio_green doctor` in front of the examples' proxies, as they are and spoilt in every way it has a word for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doctor.reading import Examine, examine, problems
from programs import free_port

from engineio_green.__main__ import main

from .running import Site, Spoil, backends, proxy, put, without

__all__ = ["examine"]  # a fixture


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_all_is_well_behind_the_examples_proxies(site: Site, secure: bool, examine: Examine):
    # Without TLS with the long silence, too.
    code, found = examine(site.secure_url, "--quick") if secure else examine(site.url)
    assert (code, problems(found)) == (0, {})
    wanted = {"handshake", "processes", "polling", "websocket", "upgrade", "origin", "bodies"}
    assert set(found) == (wanted if secure else wanted | {"silence"})
    assert {level for findings in found.values() for level, _ in findings} == {"ok"}


def no_upgrade_nginx(text: str) -> str:
    return without(text, "proxy_set_header Upgrade", "proxy_set_header Connection $connection_upgrade")


def no_upgrade_haproxy(text: str) -> str:
    return put(text, "    option forwardfor\n", "    http-request del-header Upgrade\n")


def no_affinity_nginx(text: str) -> str:
    return without(text, "hash $remote_addr")


def no_affinity_haproxy(text: str) -> str:
    text = put(without(text, "hash-type", "cookie PROCESS"), "balance source", "balance roundrobin")
    return put(put(text, "cookie first", ""), "cookie second", "")


def no_host_nginx(text: str) -> str:
    return without(text, "proxy_set_header Host", "proxy_set_header X-Forwarded-Host")


def no_scheme_nginx(text: str) -> str:
    return without(text, "proxy_set_header X-Forwarded-Proto")


def no_scheme_haproxy(text: str) -> str:
    return without(text, "http-request set-header X-Forwarded-Proto")


def small_bodies_nginx(text: str) -> str:
    return put(text, "client_max_body_size 1m", "client_max_body_size 100k")


def cached_nginx(text: str) -> str:
    cache = "proxy_cache_path {folder} keys_zone=spoilt:1m; proxy_cache_key $scheme$host$uri$arg_transport$arg_sid;"
    text = put(text, "    map $http_upgrade", cache.format(folder="cache") + "\n    map $http_upgrade")
    rules = "proxy_cache spoilt; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control Set-Cookie; proxy_buffering on;"
    return put(text, "            proxy_buffering off;\n", f"            {rules}\n")


SPOILT = {
    "nginx strips Upgrade": ("nginx", no_upgrade_nginx, False, {"websocket": "Upgrade header is lost on the way"}),
    "haproxy strips Upgrade": ("haproxy", no_upgrade_haproxy, False, {"websocket": "Upgrade header is lost on the way"}),
    "nginx without affinity": ("nginx", no_affinity_nginx, False, {"processes": "not kept with theirs"}),
    "haproxy without affinity": ("haproxy", no_affinity_haproxy, False, {"processes": "not kept with theirs"}),
    "nginx hides the host": ("nginx", no_host_nginx, False, {"origin": "the Host header is not passed on"}),
    "nginx hides TLS": ("nginx", no_scheme_nginx, True, {"origin": "Computed was http://127.0.0.1"}),
    "haproxy hides TLS": ("haproxy", no_scheme_haproxy, True, {"origin": "Computed was http://127.0.0.1"}),
    "nginx refuses large requests": ("nginx", small_bodies_nginx, False, {"bodies": "client_max_body_size"}),
    "nginx caches": ("nginx", cached_nginx, False, {"processes": "a cache answers"}),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_fault_of_a_proxy_is_named_and_nothing_else(
    name: str, ports: list[int], certificate: tuple[Path, Path], tmp_path: Path, examine: Examine
):
    kind, spoil, secure, expected = SPOILT[name]
    with proxy(kind, tmp_path, certificate, ports, spoil) as site:
        code, found = examine(site.secure_url if secure else site.url, "--quick")
    named = problems(found)
    assert (code, set(named)) == (1, set(expected)), named
    for check, words in expected.items():
        assert words in named[check]


def buffering_nginx(text: str) -> str:
    return without(text, "proxy_buffering off", "proxy_request_buffering off")


def buffering_haproxy(text: str) -> str:
    return put(text, "    option forwardfor\n", "    option forwardfor\n    option http-buffer-request\n")


@pytest.mark.parametrize(("kind", "spoil"), [("nginx", buffering_nginx), ("haproxy", buffering_haproxy)])
def test_a_proxy_that_collects_requests_is_noted(
    kind: str, spoil: Spoil, ports: list[int], certificate: tuple[Path, Path], tmp_path: Path, examine: Examine
):
    with proxy(kind, tmp_path, certificate, ports, spoil) as site:
        code, found = examine(site.url, "--quick")
    assert (code, problems(found)) == (0, {})
    ((level, text),) = found["bodies"]
    assert level == "note"
    assert "collects the whole body" in text


def impatient_nginx(text: str) -> str:
    return put(text, "proxy_read_timeout 60s", "proxy_read_timeout 500ms")


def impatient_haproxy(text: str) -> str:
    return put(put(text, "timeout server 60s", "timeout server 500ms"), "timeout tunnel 60s", "timeout tunnel 500ms")


@pytest.mark.parametrize(("kind", "spoil"), [("nginx", impatient_nginx), ("haproxy", impatient_haproxy)])
def test_a_proxy_that_cuts_silent_connections_is_named_for_both_transports(
    kind: str, spoil: Spoil, ports: list[int], certificate: tuple[Path, Path], tmp_path: Path, examine: Examine
):
    with proxy(kind, tmp_path, certificate, ports, spoil) as site:
        code, found = examine(site.url)
    named = problems(found)
    assert (code, set(named)) == (1, {"silence"}), named
    assert "A silent websocket was cut after 0." in named["silence"]
    # nginx asks the other process after that time, which knows nothing of the session.
    assert re.search(r"A silent poll was answered with (504|400 'Session ID unknown')", named["silence"])
    assert "the server's ping is due after 1 s" in named["silence"]
    assert "proxy_read_timeout 2s; HAProxy: timeout tunnel and timeout server 2s" in named["silence"]


def test_a_proxy_with_nothing_behind_it_is_no_server(
    certificate: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with proxy("nginx", tmp_path, certificate, [free_port(), free_port()]) as site:
        assert main(["doctor", site.url]) == 2
    assert "a proxy answers, and no server behind it" in " ".join(capsys.readouterr().err.split())


def test_origins_that_the_server_names_itself_are_no_matter_of_the_proxy(
    certificate: tuple[Path, Path], tmp_path: Path, examine: Examine
):
    ports = [free_port(), free_port()]
    with backends(ports, {"cors_allowed_origins": "https://shop.example"}), proxy("nginx", tmp_path, certificate, ports) as site:
        code, found = examine(site.url, "--quick")
    assert (code, set(problems(found))) == (1, {"origin"})
    assert f'cors_allowed_origins="{site.url.rstrip("/")}"' in problems(found)["origin"]
