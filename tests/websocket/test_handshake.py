"""The opening handshake: what is a fault, what the 101 says, and which compression comes of an offer."""

from __future__ import annotations

import base64

import pytest

from engineio_green.core.settings import Deflate
from engineio_green.websocket.handshake import accept_response, deflate_factory, find_fault, negotiate_deflate

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455, section 1.3
GOOD = {
    "HTTP_HOST": "example.com",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def fault(version="HTTP/1.1", **changes):
    return find_fault({name: value for name, value in {**GOOD, **changes}.items() if value is not None}, version)


# --- faults -------------------------------------------------------------------------------------------------------------


def test_a_right_request_has_no_fault():
    assert fault() is None


@pytest.mark.parametrize(
    "value", ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", " upgrade ", "a,b , upgrade"]
)
def test_the_connection_header_is_a_list(value):
    assert fault(HTTP_CONNECTION=value) is None


@pytest.mark.parametrize("value", [None, "", "close", "keep-alive", "upgraded", "up grade", "Upgrade;x"])
def test_a_connection_header_that_does_not_say_upgrade_is_a_fault(value):
    assert "Connection" in fault(HTTP_CONNECTION=value)


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2", "HTTP/2.0", "HTTP/3", "", "1.1"])
def test_another_version_of_http_is_a_fault(version):
    assert "HTTP/1.1" in fault(version)


@pytest.mark.parametrize("value", [None, "", "8", "12", "14", "013", "13 ", "13, 8", "13.0", "\uff11\uff13"])
def test_another_version_of_the_protocol_is_a_fault(value):
    assert "Version" in fault(HTTP_SEC_WEBSOCKET_VERSION=value)


@pytest.mark.parametrize("value", [None, ""])
def test_no_host_is_a_fault(value):
    assert "Host" in fault(HTTP_HOST=value)


@pytest.mark.parametrize("length", [*range(16), 17, 18, 32, 1000])
def test_a_key_of_another_length_is_a_fault(length):
    assert "Key" in fault(HTTP_SEC_WEBSOCKET_KEY=base64.b64encode(bytes(length)).decode())


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "x" * 24,
        "!" * 24,
        KEY[:-2],
        KEY + "==",
        KEY[:-2] + "  ",
        " " + KEY[1:],
        "\u00e4" * 24,
        "A" * 64_000,
        KEY[:-3] + "===",
    ],
)
def test_a_key_that_is_no_base64_is_a_fault(key):
    assert "Key" in fault(HTTP_SEC_WEBSOCKET_KEY=key)


def test_any_sixteen_bytes_are_a_key():
    for byte in range(256):
        assert fault(HTTP_SEC_WEBSOCKET_KEY=base64.b64encode(bytes([byte]) * 16).decode()) is None


def test_a_fault_repeats_nothing_of_the_request():
    for name in GOOD:
        assert "<script>" not in str(fault(**{name: "<script>"}))


# --- the 101 ------------------------------------------------------------------------------------------------------------


def test_the_101_is_the_rfc_s():
    head, _, rest = accept_response(GOOD).partition(b"\r\n\r\n")
    status, *headers = head.decode("ascii").split("\r\n")
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert dict(line.split(": ") for line in headers) == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    }
    assert rest == b""


def test_headers_can_be_added():
    assert b"\r\nSet-Cookie: io=x\r\n" in accept_response(GOOD, [("Set-Cookie", "io=x"), ("X-A", "b")])


@pytest.mark.parametrize("header", [("X", "a\r\nb: c"), ("X", "a\nb"), ("X\r\nY", "a"), ("X", "a\0"), ("X", "a\r")])
def test_a_header_can_not_end_its_line(header):
    with pytest.raises(ValueError, match="line break"):
        accept_response(GOOD, [header])


# --- compression --------------------------------------------------------------------------------------------------------


def negotiate(offer, **options):
    environ = GOOD if offer is None else {**GOOD, "HTTP_SEC_WEBSOCKET_EXTENSIONS": offer}
    negotiated = negotiate_deflate(environ, deflate_factory(Deflate(**options)))
    return None if negotiated is None else {part.strip() for part in negotiated[0].split(";")}


@pytest.mark.parametrize(
    ("offer", "options", "answer"),
    [
        ("permessage-deflate", {}, set()),
        ("permessage-deflate; client_max_window_bits", {}, set()),
        ("permessage-deflate;client_max_window_bits", {}, set()),
        ("foo, permessage-deflate", {}, set()),
        ("permessage-deflate, permessage-deflate; client_max_window_bits", {}, set()),
        ("permessage-deflate; unknown, permessage-deflate", {}, set()),
        ("permessage-deflate; server_no_context_takeover", {}, {"server_no_context_takeover"}),
        ("permessage-deflate; server_max_window_bits=10", {}, {"server_max_window_bits=10"}),
        ('permessage-deflate; server_max_window_bits="10"', {}, {"server_max_window_bits=10"}),
        ("permessage-deflate", {"server_no_context_takeover": True}, {"server_no_context_takeover"}),
        ("permessage-deflate", {"client_no_context_takeover": True}, {"client_no_context_takeover"}),
        ("permessage-deflate", {"server_max_window_bits": 12}, {"server_max_window_bits=12"}),
        ("permessage-deflate; server_max_window_bits=10", {"server_max_window_bits": 12}, {"server_max_window_bits=10"}),
        ("permessage-deflate; client_max_window_bits", {"client_max_window_bits": 12}, {"client_max_window_bits=12"}),
        ("permessage-deflate; client_max_window_bits=10", {"client_max_window_bits": 12}, {"client_max_window_bits=10"}),
    ],
)
def test_an_offer_of_compression_is_accepted_with_the_parameters_of_both(offer, options, answer):
    accepted = negotiate(offer, **options)
    assert accepted is not None
    # What the client only proposes for itself may or may not be repeated.
    optional = {"client_no_context_takeover", "client_max_window_bits=15"}
    assert accepted - optional == {"permessage-deflate", *answer} - optional
    assert answer & optional <= accepted


@pytest.mark.parametrize(
    "offer",
    [
        None, "", "foo", "x-webkit-deflate-frame", "permessage-bzip2", "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=x",
        "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=x",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate;", "permessage-deflate; ;", "=", ";;;", "permessage-deflate; a=\"", ",,,", "\x00", "\u00e4",
    ],
)  # fmt: skip
def test_an_offer_that_is_wrong_or_none_is_declined_and_no_error(offer):
    assert negotiate(offer) is None


def test_a_window_smaller_than_the_client_would_keep_is_declined_if_the_client_can_not_be_told():
    """A client that does not offer ``client_max_window_bits`` must not be sent it (RFC 7692, section 7.1.2.2)."""
    accepted = negotiate("permessage-deflate", client_max_window_bits=12)
    assert accepted is None or not any(part.startswith("client_max_window_bits") for part in accepted)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece",
    ["permessage-deflate,", "permessage-deflate; a,", "a;", "a=b;", '"', " ", ",", 'permessage-deflate; a="b\\', "\\", "x" * 65],
)
def test_an_endless_offer_costs_little(piece):
    for _ in range(50):
        negotiate((piece * 64_000)[:64_000])
