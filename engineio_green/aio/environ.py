"""A request of any web framework as the mapping with WSGI names that the core and the application's handlers look into.

Owns the names. Must not know frameworks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Address = tuple[Any, ...] | list[Any] | None


def make_environ(
    method: str, path: str, query: str, scheme: str, http_version: str, client: Address, server: Address
) -> dict[str, Any]:
    """Return the environ but for the headers. *client* and *server* are (address, port), where there are such."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": f"{path}?{query}" if query else path,
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": f"HTTP/{http_version}",
        "REMOTE_ADDR": "",
        "REMOTE_PORT": "0",
        "SERVER_NAME": "",
        "SERVER_PORT": "0",
        "wsgi.url_scheme": {"ws": "http", "wss": "https"}.get(scheme, scheme),
    }
    if client:
        environ["REMOTE_ADDR"] = str(client[0] or "")
        environ["REMOTE_PORT"] = str(client[1])
    if server:
        environ["SERVER_NAME"] = str(server[0] or "")
        environ["SERVER_PORT"] = str(server[1] or 0)
    return environ


def add_headers(environ: dict[str, Any], headers: Iterable[tuple[str, str]]) -> None:
    """Put in the request's headers; of one that comes several times the values are joined by commas (RFC 9110, 5.3)."""
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        environ[key] = f"{environ[key]},{value}" if key in environ else value
