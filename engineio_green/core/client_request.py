"""What a client asks for and how it reads a refusal: addresses, query strings, the words of an HTTP error.

Owns the form of the requests. Must not know who sends them. Rules: the Engine.IO protocol, revision 4, "Requests"; the
documented arguments of ``connect()``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from engineio_green.core.settings import TOKEN, check_number
from engineio_green.exceptions import ConnectionError, SettingError

SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}
# RFC 9110, section 5.5, without the bytes above ASCII: each transport would encode those in its own way.
_HEADER_VALUE = re.compile(r"([!-~][\t -~]*)?")
LONGEST_QUOTE = 300  # characters of a server's answer that go into an error's text


@dataclass(frozen=True, slots=True)
class Target:
    """Where all requests of one connection go."""

    secure: bool
    address: str
    path: str
    query: str

    def url(self, transport: str, sid: str = "", stamp: str = "", *, websocket: bool = False) -> str:
        """Return the address of a request for *transport*; *websocket*: with the scheme of one."""
        scheme = ("ws" if websocket else "http") + ("s" if self.secure else "")
        query = f"{self.query}&" if self.query else ""
        query += f"transport={transport}&EIO=4"
        if sid:
            query += f"&sid={quote(sid, safe='')}"
        if stamp:
            query += f"&t={stamp}"
        return f"{scheme}://{self.address}{self.path}?{query}"


def make_target(url: str, engineio_path: str = "engine.io") -> Target:
    """Return where *url* points; its query is kept, its path is *engineio_path*. Raises :class:`SettingError`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError) as exc:
        raise SettingError(f"the URL {url!r} is malformed: {exc}") from None
    if parts.scheme not in SCHEMES or not host:
        raise SettingError(f"the URL must look like http://host:port or https://host, not {url!r}")
    path = engineio_path.strip("/")
    return Target(SCHEMES[parts.scheme], parts.netloc, f"/{path}/" if path else "/", parts.query)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return *headers* as a dictionary of its own. Raises :class:`SettingError` for one that not all transports could send."""
    checked = dict(headers or {})
    for name, value in checked.items():
        if not isinstance(name, str) or not TOKEN.fullmatch(name):
            raise SettingError(f"the header {name!r} needs a name of ASCII letters, digits and the like, without spaces")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise SettingError(
                f"the header {name!r} must be ASCII text without line breaks or a space in front, not {value!r}: encode it, "
                "for example with urllib.parse.quote()"
            )
    return checked


def check_timeout(value: Any) -> float | None:
    """Return the ``request_timeout`` *value*, in seconds. Raises :class:`SettingError`."""
    return None if value is None else check_number("request_timeout", value)


def refusal(status: int, body: bytes) -> ConnectionError:
    """Return the error for an answer that is no success: the server's own reason is in its text and its arguments."""
    text = body.decode("utf-8", "replace")
    try:
        detail: Any = json.loads(text)
    except ValueError:
        return ConnectionError(_sentence(status, _quoted(text)), status=status)
    return ConnectionError(_sentence(status, _words(detail)), detail, status=status)


def _sentence(status: int, reason: str) -> str:
    said = f"the server refused the connection (HTTP {status})"
    return f"{said}: {reason}" if reason else said


def _words(detail: Any) -> str:
    if isinstance(detail, dict) and isinstance(detail.get("message"), str):
        code = detail.get("code")
        return _quoted(detail["message"]) + (f" (code {code})" if isinstance(code, int) else "")
    return _quoted(detail if isinstance(detail, str) else json.dumps(detail, separators=(",", ":")))


def _quoted(text: str) -> str:
    """The text on one line, without what could steer a terminal, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "..."
