"""Visits over the wire: requests and websockets as an Engine.IO client makes them, each on a connection of its own.

Owns `requests`, `websocket-client`, time limits and the words for a connection that fails. Must not know what is concluded.
Protocol: Engine.IO, revision 4.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
import websocket

PATIENCE = 10.0  # seconds for an answer that should come at once
CONNECT_PATIENCE = 5.0
USUAL_PORTS = {"http": 80, "https": 443}

T = TypeVar("T")


class Lost(Exception):
    """A connection that failed or an answer that did not come; the text is the middle of a sentence."""


class Silent(Lost):
    """Nothing came within the time limit."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is: *url* of its Engine.IO endpoint, *headers* to send along, *insecure* believes any certificate."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    insecure: bool = False

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or USUAL_PORTS[parts.scheme]

    @property
    def origin(self) -> str:
        """What a browser sends as Origin from a page of this very site."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown}" + ("" if self.port == USUAL_PORTS[parts.scheme] else f":{self.port}")


class Reply(NamedTuple):
    """An HTTP answer. *server* is its Server header, *cookies* what it has set."""

    status: int
    text: str
    server: str
    seconds: float
    cookies: dict[str, str]
    allowed_origin: str = ""
    location: str = ""

    @property
    def code(self) -> int | None:
        """The protocol's error code, when the answer is a refusal by an Engine.IO server."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return None
        code = found.get("code") if isinstance(found, dict) else None
        return code if isinstance(code, int) else None

    def __str__(self) -> str:
        try:
            found = json.loads(self.text)
        except ValueError:
            found = None
        message = found.get("message") if isinstance(found, dict) else found
        said = f" {message!r}" if isinstance(message, str) else ""
        return f"{self.status}{said}" + (f" (Server: {self.server})" if self.server else "")


def connect_seconds(target: Target) -> float:
    """How long the network takes for a connection: one round trip. Raises `Lost`."""
    parts = urlsplit(target.url)
    began = time.monotonic()
    try:
        socket.create_connection((parts.hostname, target.port), CONNECT_PATIENCE).close()
    except OSError as error:
        raise explained(error, time.monotonic() - began) from error
    return time.monotonic() - began


class Visit:
    """One Engine.IO session by polling.

    :param origin: an Origin header to send, as a browser does.
    """

    def __init__(self, target: Target, origin: str = "") -> None:
        self.target = target
        self.sid = ""
        self.handshake: dict[str, Any] = {}
        self._http = requests.Session()
        self._http.trust_env = False  # this very server is examined, not a proxy on this side
        # Its own list of authorities, unless OpenSSL's variable names another: the websockets go by that, too.
        self._http.verify = False if target.insecure else os.environ.get("SSL_CERT_FILE", True)
        self._http.headers.update({"User-Agent": "engineio_green doctor", **target.headers})
        if origin:
            self._http.headers["Origin"] = origin
        if target.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._http.cookies}

    def beside(self) -> Visit:
        """The same session for another thread."""
        other = Visit(self.target)
        other.sid = self.sid
        other._http.cookies.update(self.cookies)
        return other

    def open(self) -> Reply:
        """Ask for a session; `sid` is empty when there was none to get."""
        reply = self._request("GET", PATIENCE)
        if reply.status == 200 and reply.text.startswith("0{"):
            try:
                self.handshake = json.loads(reply.text.partition("\x1e")[0][1:])
                self.sid = str(self.handshake["sid"])
            except (ValueError, KeyError):
                self.handshake = {}
        return reply

    def poll(self, patience: float = PATIENCE) -> Reply:
        """Wait for packets, *patience* seconds at most."""
        return self._request("GET", patience)

    def close(self) -> Reply:
        """Say goodbye, as a client does that leaves."""
        return self._request("POST", PATIENCE, "1")

    def send(self, packet: str) -> Reply:
        """Send one packet of text."""
        return self._request("POST", PATIENCE, packet)

    def answer_ping(self) -> None:
        self.send("3")

    def _request(self, method: str, patience: float, body: str | None = None) -> Reply:
        query = {"EIO": "4", "transport": "polling", "t": secrets.token_hex(4)}
        if self.sid:
            query["sid"] = self.sid
        self._http.close()  # only its connections: the next request gets a new one, the cookies stay
        began = time.monotonic()
        try:
            answer = self._http.request(
                method,
                self.target.url,
                params=query,
                data=body,
                headers={"Content-Type": "text/plain;charset=UTF-8"} if body else {},
                timeout=(CONNECT_PATIENCE, patience),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise explained(error, time.monotonic() - began) from error
        headers = answer.headers
        return Reply(
            answer.status_code,
            answer.content.decode("utf-8", "replace"),
            headers.get("Server", ""),
            time.monotonic() - began,
            {cookie.name: cookie.value or "" for cookie in answer.cookies},
            headers.get("Access-Control-Allow-Origin", ""),
            headers.get("Location", ""),
        )


class Refused(Lost):
    """A websocket that was answered with something else than a 101."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"was answered with {reply}")
        self.reply = reply


def open_websocket(target: Target, visit: Visit | None = None) -> Any:
    """A websocket that is open: a session of its own, or the second transport of *visit*. Raises `Refused` or `Lost`."""
    query = {"EIO": "4", "transport": "websocket"}
    cookies: dict[str, str] = {}
    if visit is not None:
        query["sid"] = visit.sid
        cookies = visit.cookies
    began = time.monotonic()
    try:
        return websocket.create_connection(
            f"{target.url.replace('http', 'ws', 1)}?{urlencode(query)}",
            timeout=PATIENCE,
            header=[f"{name}: {value}" for name, value in target.headers.items()],
            cookie="; ".join(f"{name}={value}" for name, value in cookies.items()) or None,
            suppress_origin=True,
            http_no_proxy=["*"],
            sslopt={"cert_reqs": ssl.CERT_NONE, "check_hostname": False} if target.insecure else {},
        )
    except websocket.WebSocketBadStatusException as error:
        headers = error.resp_headers or {}
        text = (error.resp_body or b"").decode("utf-8", "replace")
        raise Refused(Reply(error.status_code, text, headers.get("server", ""), time.monotonic() - began, {})) from error
    except (websocket.WebSocketException, OSError) as error:
        raise explained(error, time.monotonic() - began) from error


def receive(connection: Any, patience: float = PATIENCE) -> str | bytes:
    """The next message. Raises `Silent` or `Lost`."""
    began = time.monotonic()
    connection.settimeout(patience)
    try:
        message: str | bytes = connection.recv()
    except (websocket.WebSocketException, OSError) as error:
        raise explained(error, time.monotonic() - began) from error
    if message == "":  # what the library returns for a close frame; no packet is empty text
        raise Lost(f"was closed after {time.monotonic() - began:.1f} s")
    return message


def announce_body(target: Target, sid: str, length: int, patience: float) -> Reply:
    """The head of a POST alone, of a body of *length* bytes: what is said to it before the body. Raises `Silent` or `Lost`."""
    parts = urlsplit(target.url)
    place = (parts.hostname or "", target.port)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if target.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(*place, timeout=patience, context=context)
    else:
        connection = http.client.HTTPConnection(*place, timeout=patience)
    query = urlencode({"EIO": "4", "transport": "polling", "sid": sid})
    began = time.monotonic()
    try:
        connection.putrequest("POST", f"{parts.path}?{query}", skip_accept_encoding=True)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(length), **target.headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return Reply(answer.status, text, answer.getheader("Server", ""), time.monotonic() - began, {})
    except (OSError, http.client.HTTPException) as error:
        raise explained(error, time.monotonic() - began) from error
    finally:
        connection.close()


def explained(error: BaseException, seconds: float) -> Lost:
    """The exceptions of three libraries in our words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Lost(f"has a certificate that can't be verified ({cause.verify_message}); --insecure believes it")
        if isinstance(cause, ssl.SSLError):
            return Lost(f"does not speak TLS as this client does ({cause.reason or cause})")
        if isinstance(cause, socket.gaierror):
            return Lost("has a name that nobody knows")
        if isinstance(cause, ConnectionRefusedError):
            return Lost("refuses connections: nothing listens there")
        if isinstance(cause, (requests.ReadTimeout, websocket.WebSocketTimeoutException, TimeoutError)):
            return Silent(f"did not answer within {seconds:.1f} s")
        cause = cause.__cause__ or cause.__context__
    return Lost(f"was closed after {seconds:.1f} s without an answer")


class Aside(Generic[T]):
    """A function that runs beside: its result or its `Lost`, and the moment when it came to its end."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._result: T | None = None
        self.error: BaseException | None = None
        self.ended_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self.error = error
        self.ended_at = time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, within *seconds*."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def finish(self) -> T:
        """Wait for the end, which comes because every visit has a time limit; then as `result()`."""
        self._thread.join()
        return self.result()

    def result(self) -> T:
        """What it has returned; raises what it has raised. Call it after the end."""
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value]  # T may be None, so None does not tell that it is missing


def not_a_session(url: str, reply: Reply) -> str:
    """Why this answer is no session, and what to try."""
    known = {
        401: "the application refuses clients without credentials: give them with --header",
        403: "the application refuses this client: give credentials with --header",
        404: "there is no Engine.IO server at this path: name it in the URL, with the engineio_path of the WSGIApp",
        502: "a proxy answers, and no server behind it",
        503: "the server has no room, is going down, or is not there",
        504: "a proxy answers, and the server behind it does not",
    }
    if reply.location:
        hint = f"it leads to {reply.location}: examine that one"
    elif reply.status == 200:
        hint = "that is no open packet, so something else answers at this path"
    else:
        hint = known.get(reply.status, "that is no Engine.IO server of revision 4")
    return f"{url} answers a handshake with {reply}: {hint}."
