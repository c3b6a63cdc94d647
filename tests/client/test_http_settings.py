"""Headers, cookies, authentication, proxies and certificates: the same on both transports, whoever has set them."""

from __future__ import annotations

import ssl
import subprocess

import pytest
import requests
from scenarios.waiting import wait_until

from engineio_green.exceptions import ConnectionError, SettingError

from .conftest import url_of
from .middleman import Middleman
from .recording import client_threads

TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])


def heads(path: Middleman) -> list[str]:
    """The heads of the Engine.IO requests that passed."""
    return [data.partition(b"\r\n\r\n")[0].decode("latin-1") for data in path.requests if b"/engine.io/" in data]


def talk(recorder, url, transport, **arguments):
    recorder.client.connect(url, transports=[transport] if transport else None, **arguments)
    if transport is None:
        recorder.wait_transport("websocket")
    recorder.client.send("x")
    assert recorder.wait_messages(1) == ["x"]
    recorder.client.disconnect()
    wait_until(lambda: not client_threads(), "the last poll")


def test_headers_cookies_and_authentication_go_with_every_request_of_both_transports(server, make):
    session = requests.Session()
    session.headers["X-Session"] = "s"
    session.cookies.set("flavour", "vanilla")
    session.auth = ("user", "pässword")
    with Middleman(server.port) as path:
        talk(make(http_session=session), f"{path.url}/?q=1", None, headers={"X-Own": "o", "User-Agent": "test"})
        talk(make(http_session=session), f"{path.url}/?q=1", "polling", headers={"X-Own": "o", "User-Agent": "test"})
        found = heads(path)
    assert sum("Upgrade: websocket" in head for head in found) == 1
    assert len(found) >= 4
    for head in found:
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        assert (lines["X-Session"], lines["X-Own"], lines["User-Agent"]) == ("s", "o", "test")
        assert lines["Cookie"] == "flavour=vanilla"
        assert lines["Authorization"].startswith("Basic dXNlcjp")
        assert lines["Host"] == f"127.0.0.1:{path.port}"
        assert head.count("Host:") == head.count("Cookie:") == 1
        assert "Origin" not in lines
        assert "?q=1&transport=" in head
    assert session.cookies.get_dict() == {"flavour": "vanilla"}
    assert session.get(f"{url_of(server)}/stats", timeout=5).ok  # it stays its owner's: nobody closed it


@pytest.mark.parametrize("first", ["polling", "websocket"])
def test_cookie_that_the_server_sets_is_sent_from_then_on(servers, make, first):
    sticky = servers.get("gevent-pywsgi", cookie="io")
    session = requests.Session()
    with Middleman(sticky.port) as path:
        talk(make(http_session=session), path.url, first)
        talk(make(http_session=session), path.url, None)
        found = heads(path)
    assert "Cookie" not in found[0]
    assert all("Cookie: io=" in head for head in found[1:])


def test_session_from_a_function_is_made_for_each_connection(server, make):
    made: list[requests.Session] = []

    def factory() -> requests.Session:
        made.append(requests.Session())
        made[-1].headers["X-Number"] = str(len(made))
        return made[-1]

    recorder = make(http_session=factory)
    with Middleman(server.port) as path:
        for _ in range(2):
            recorder.client.connect(path.url, transports=["polling"])
            recorder.client.disconnect()
        assert {"X-Number: 1", "X-Number: 2"} <= set("\r\n".join(heads(path)).split("\r\n"))
    assert len(made) == 2


@pytest.mark.parametrize("stamped", [True, False])
def test_time_stands_in_the_address_unless_it_is_switched_off(server, make, stamped):
    with Middleman(server.port) as path:
        talk(make(timestamp_requests=stamped), path.url, None)
        assert all(("&t=" in head.split("\r\n")[0]) == stamped for head in heads(path))


@TRANSPORTS
def test_proxy_of_the_session_is_used_and_that_of_the_environment_is_not_where_the_session_says_so(
    server, make, transport, monkeypatch
):
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with Middleman(server.port, http_proxy=True) as proxy:
        session = requests.Session()
        session.proxies["http"] = f"http://user:p%40ss@127.0.0.1:{proxy.port}"
        talk(make(http_session=session), url_of(server), transport)
        assert proxy.requests
        assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in proxy.requests[0]
        used = len(proxy.requests)
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        talk(make(), url_of(server), transport)
        assert len(proxy.requests) > used
        used = len(proxy.requests)
        session = requests.Session()
        session.trust_env = False
        talk(make(http_session=session), url_of(server), transport)
        assert len(proxy.requests) == used


def test_proxy_that_is_not_there_is_named(server, make):
    session = requests.Session()
    session.proxies["http"] = "http://127.0.0.1:1"
    with pytest.raises(ConnectionError) as caught:
        make(http_session=session).client.connect(url_of(server), transports=["polling"])
    assert caught.value.kind == "proxy"


def test_proxy_that_a_websocket_can_not_use_is_named(server, make):
    session = requests.Session()
    session.proxies["http"] = "https://127.0.0.1:1"
    with pytest.raises(SettingError, match=r"https://127\.0\.0\.1"):
        make(http_session=session).client.connect(url_of(server), transports=["websocket"])


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def client_certificate(tmp_path_factory):
    """A certificate for a client, signed by itself: file and key."""
    folder = tmp_path_factory.mktemp("client-tls")
    cert, key = folder / "client.pem", folder / "client.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=client"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def tls(server, tls_context):
    """The server behind TLS, with a certificate that only its own CA file vouches for."""
    with Middleman(server.port, tls=tls_context) as path:
        yield path


@pytest.mark.parametrize("transport", ["polling", "websocket", None])
def test_own_ca_is_trusted_on_both_transports(tls, make, certificate, transport):
    session = requests.Session()
    session.verify = str(certificate[0])
    talk(make(http_session=session), tls.url, transport)


@TRANSPORTS
def test_large_messages_go_both_ways_at_once_through_tls(tls, make, certificate, transport):
    session = requests.Session()
    session.verify = str(certificate[0])
    recorder = make(http_session=session)
    recorder.client.connect(tls.url, transports=[transport])
    messages = [bytes([number]) * 700_000 for number in range(16)]  # more than all buffers on the way hold
    for message in messages:
        recorder.client.send(message)
    assert recorder.wait_messages(len(messages)) == messages


@TRANSPORTS
def test_ca_of_the_environment_is_trusted(tls, make, certificate, transport, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    talk(make(), tls.url, transport)


@TRANSPORTS
def test_unknown_certificate_is_refused_with_the_reason(tls, make, transport):
    with pytest.raises(ConnectionError, match=r"certificate was refused: self.signed certificate") as caught:
        make().client.connect(tls.url, transports=[transport])
    assert caught.value.kind == "tls"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("transport", ["polling", "websocket", None])
def test_any_certificate_is_accepted_where_verification_is_off(tls, make, transport):
    talk(make(ssl_verify=False), tls.url, transport)


@TRANSPORTS
@pytest.mark.parametrize("shown", [True, False])
def test_client_certificate_is_shown(server, make, certificate, client_certificate, transport, shown):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(client_certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    session = requests.Session()
    session.verify = str(certificate[0])
    if shown:
        session.cert = tuple(map(str, client_certificate))
    with Middleman(server.port, tls=context) as path:
        if shown:
            talk(make(http_session=session), path.url, transport)
            return
        with pytest.raises(ConnectionError) as caught:
            make(http_session=session).client.connect(path.url, transports=[transport])
        assert caught.value.kind in ("tls", "unreachable")


def test_extra_options_of_the_websocket_win(server, make):
    with Middleman(server.port) as path:
        talk(make(websocket_extra_options={"origin": path.url, "header": ["X-Extra: 1"]}), path.url, "websocket")
        assert f"Origin: {path.url}" in heads(path)[0]
        assert "X-Extra: 1" in heads(path)[0]
