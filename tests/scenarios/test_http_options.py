"""Options that show in HTTP: origins, cookies, JSONP. Two or three of them share one server, to start fewer of them."""

from __future__ import annotations

import json
import re
from urllib.parse import quote_plus

import pytest

from .client import Client, target_of
from .frames import new_key, upgrade_headers
from .servers import Server
from .wire import Headers, Response

GOOD, OTHER, EVIL = "http://good.example", "http://other.example", "http://evil.example"


def origin(value: str) -> Headers:
    return [("Origin", value)]


def handshake(client: Client, value: str | None, extra: str = "") -> Response:
    return client.http("GET", target_of(extra=extra), origin(value) if value else [])


def assert_allowed(response: Response, value: str, credentials: bool = True) -> None:
    assert response.status == 200
    assert response.header("Access-Control-Allow-Origin") == value
    assert response.header("Access-Control-Allow-Credentials") == ("true" if credentials else None)


def assert_origin_refused(client: Client, value: str, extra: str = "") -> None:
    response = handshake(client, value, extra)
    assert response.status == 400
    assert response.json()["code"] == 3
    assert response.header("Access-Control-Allow-Origin") is None
    headers = upgrade_headers(new_key()) + origin(value)
    assert client.refused_websocket(target_of("websocket", extra=extra), headers).status == 400


class TestOrigins:
    def test_by_default_the_same_origin_is_allowed(self, client: Client, server: Server):
        scheme = "https" if server.mode.tls else "http"
        own = f"{scheme}://{server.host}:{server.port}"
        assert_allowed(handshake(client, own), own)
        client.open_websocket(headers=origin(own)).send("4hello")

    def test_a_request_without_an_origin_is_allowed(self, client: Client):
        response = handshake(client, None)
        assert response.status == 200
        assert response.header("Access-Control-Allow-Origin") is None

    def test_by_default_foreign_and_null_origins_are_refused(self, client: Client, server: Server):
        port = server.port
        for value in (EVIL, "null", f"http://127.0.0.1:{port + 1}", f"ftp://127.0.0.1:{port}", f"http://127.0.0.1.evil:{port}"):
            assert_origin_refused(client, value)

    @pytest.mark.server_options(cors_allowed_origins=GOOD, cookie="io")
    def test_one_origin_as_a_string(self, client: Client):
        assert_allowed(handshake(client, GOOD), GOOD)
        assert_origin_refused(client, EVIL)
        assert_origin_refused(client, GOOD + ".evil.example")

    @pytest.mark.server_options(
        cors_allowed_origins=[GOOD, OTHER],
        cookie={"name": "session", "path": "/here", "max-age": "$max_age", "Secure": True, "HttpOnly": False, "SameSite": "None"},
    )
    def test_origins_as_a_list(self, client: Client):
        assert_allowed(handshake(client, GOOD), GOOD)
        assert_allowed(handshake(client, OTHER), OTHER)
        assert_origin_refused(client, EVIL)

    @pytest.mark.server_options(compression_threshold=10, cors_allowed_origins="*", cookie="io", jsonp=True)
    def test_a_star_allows_every_origin_by_its_name(self, client: Client):
        """A browser takes no star together with credentials."""
        assert_allowed(handshake(client, EVIL), EVIL)
        assert client.open_websocket(headers=origin(EVIL)).request("hello") == ["hello"]

    @pytest.mark.server_options(http_compression=False, cors_allowed_origins=[])
    def test_an_empty_list_turns_origins_off(self, client: Client):
        response = handshake(client, EVIL)
        assert response.status == 200
        assert response.header("Access-Control-Allow-Origin") is None
        assert response.header("Access-Control-Allow-Credentials") is None

    @pytest.mark.server_options(cors_allowed_origins="$origin_good", cors_credentials=False)
    def test_a_callable_decides_and_credentials_can_be_turned_off(self, client: Client):
        assert_allowed(handshake(client, GOOD), GOOD, credentials=False)
        assert_origin_refused(client, EVIL)

    @pytest.mark.server_options(cors_allowed_origins="$origin_and_path")
    def test_a_callable_may_see_the_environment(self, client: Client):
        assert_allowed(handshake(client, GOOD, "pass=1"), GOOD)
        assert_origin_refused(client, GOOD, "pass=0")

    @pytest.mark.server_options(cors_allowed_origins=GOOD, cookie="io")
    def test_a_preflight_is_answered(self, client: Client):
        wish = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type, x-token")]
        response = client.http("OPTIONS", target_of("polling"), origin(GOOD) + wish)
        assert response.status in (200, 204)
        assert response.header("Access-Control-Allow-Origin") == GOOD
        assert response.header("Access-Control-Allow-Credentials") == "true"
        assert {"get", "post", "options"} <= response.tokens("Access-Control-Allow-Methods")
        assert {"content-type", "x-token"} <= response.tokens("Access-Control-Allow-Headers")

    @pytest.mark.server_options(cors_allowed_origins=GOOD, cookie="io")
    def test_a_preflight_of_a_foreign_origin_allows_nothing(self, client: Client):
        response = client.http("OPTIONS", target_of("polling"), [*origin(EVIL), ("Access-Control-Request-Method", "POST")])
        assert response.header("Access-Control-Allow-Origin") is None

    @pytest.mark.server_options(cors_allowed_origins=GOOD, cookie="io")
    def test_refusals_carry_the_origin_of_an_allowed_page(self, client: Client):
        """Else the page's script could not read why."""
        response = client.http("GET", target_of("polling", "no-such-session"), origin(GOOD))
        assert response.json()["code"] == 1
        assert response.header("Access-Control-Allow-Origin") == GOOD


def cookie_parts(response: Response) -> list[str]:
    return [part.strip() for part in (response.header("Set-Cookie") or "").split(";")]


class TestCookies:
    def test_by_default_there_is_no_cookie(self, client: Client):
        assert client.http("GET", target_of()).header("Set-Cookie") is None

    @pytest.mark.server_options(cors_allowed_origins=GOOD, cookie="io")
    def test_a_name_gives_a_cookie_with_the_sid_on_the_handshake_only(self, client: Client):
        response = client.http("GET", target_of())
        sid = json.loads(response.text[1:])["sid"]
        first, *attributes = cookie_parts(response)
        assert first == f"io={sid}"
        lower = {attribute.lower() for attribute in attributes}
        assert {"path=/", "samesite=lax"} <= lower
        later = client.http("POST", target_of("polling", sid), body=b"4x")
        assert (later.status, later.header("Set-Cookie")) == (200, None)

    @pytest.mark.server_options(
        cors_allowed_origins=[GOOD, OTHER],
        cookie={"name": "session", "path": "/here", "max-age": "$max_age", "Secure": True, "HttpOnly": False, "SameSite": "None"},
    )
    def test_a_dict_gives_the_attributes(self, client: Client):
        response = client.http("GET", target_of())
        first, *attributes = cookie_parts(response)
        assert first == "session=" + json.loads(response.text[1:])["sid"]
        assert {"path=/here", "max-age=3600", "secure", "samesite=none"} <= {item.lower() for item in attributes}
        assert "httponly" not in {item.split("=")[0].lower() for item in attributes}

    @pytest.mark.server_options(cors_allowed_origins=GOOD, cookie="io")
    def test_a_websocket_handshake_sets_the_cookie_too(self, client: Client):
        connection = client.connect()
        response = connection.request("GET", target_of("websocket"), upgrade_headers(new_key()))
        assert response.status == 101
        assert cookie_parts(response)[0].startswith("io=")


@pytest.mark.server_options(compression_threshold=10, cors_allowed_origins="*", cookie="io", jsonp=True)
class TestJsonp:
    CALL = re.compile(r'___eio\[([0-9]*)\]\("((?:[^"\\]|\\.)*)"\);')

    def payload_of(self, response: Response, index: str) -> str:
        """The string inside the call, read as JavaScript would."""
        assert response.status == 200
        assert (response.header("Content-Type") or "").split(";")[0] in ("application/javascript", "text/javascript")
        assert response.header("X-Content-Type-Options") == "nosniff"
        assert response.header("Cache-Control") == "no-store"
        match = self.CALL.fullmatch(response.text)
        assert match, response.text
        assert match[1] == index
        for forbidden in ("\n", "\r", "\u2028", "\u2029", "</"):
            assert forbidden not in match[2]
        found: str = json.loads('"' + match[2].replace(r"\/", "/") + '"')
        return found

    def open(self, client: Client) -> str:
        packet = self.payload_of(client.http("GET", target_of(extra="j=7")), "7")
        sid: str = json.loads(packet[1:])["sid"]
        return sid

    def post(self, client: Client, sid: str, data: str) -> Response:
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        return client.http("POST", target_of(sid=sid, extra="j=0"), form, b"d=" + quote_plus(data).encode())

    @pytest.mark.parametrize(
        "text",
        ["plain", 'say "hi"', "back\\slash", "two\nlines\r\n", "\u2028 and \u2029", "</script><script>alert(1)//", "😀 ü", "'"],
    )
    def test_every_text_comes_back_as_a_safe_script(self, client: Client, text: str):
        sid = self.open(client)
        assert client.http("POST", target_of(sid=sid), body=("4" + text).encode()).status == 200
        assert self.payload_of(client.http("GET", target_of(sid=sid, extra="j=12")), "12") == "4" + text

    @pytest.mark.parametrize("index", ["alert(1)", "1;alert(1)", "-1", "1.5", "%D9%A3", "a"])
    def test_an_index_gives_its_digits_at_most(self, client: Client, index: str):
        response = client.http("GET", target_of(extra=f"j={quote_plus(index, safe='%')}"))
        assert b"alert" not in response.body
        if response.status == 400:
            assert response.json()["code"] == 3
        else:
            digits = "".join(char for char in index if char in "0123456789") if "%" not in index else ""
            assert self.payload_of(response, digits).startswith("0{")

    def test_a_form_carries_packets_in_its_field(self, client: Client):
        sid = self.open(client)
        response = self.post(client, sid, "4a & b = c + d\x1e4ü😀")
        assert (response.status, response.body) == (200, b"ok")
        answer = self.payload_of(client.http("GET", target_of(sid=sid, extra="j=1")), "1")
        assert answer == "4a & b = c + d\x1e4ü😀"

    def test_a_form_without_its_field_is_refused(self, client: Client):
        sid = self.open(client)
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        assert client.http("POST", target_of(sid=sid, extra="j=0"), form, b"x=4hello").status == 400

    def test_a_held_script_poll_is_answered_when_the_session_closes(self, client: Client):
        sid = self.open(client)
        connection = client.connect()
        connection.send_request("GET", target_of(sid=sid, extra="j=3"))
        assert not connection.readable(0.05)
        assert self.post(client, sid, "1").status == 200
        assert self.payload_of(connection.read_response(), "3") == "6"


def test_without_the_option_script_polling_is_refused(client: Client):
    response = client.http("GET", target_of(extra="j=0"))
    assert response.status == 400
    assert response.json()["code"] == 3
