"""Requests of one connection: polling by `requests`, and a requests session's settings in the words of websocket-client.

Owns headers, cookies, proxies, certificates and time limits, so that both transports use the same. Must not know sessions.
This module imports `requests`: only what has made a client may import it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.cookies import extract_cookies_to_jar
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from engineio_green.client.errors import explain
from engineio_green.core.client_request import Target, refusal
from engineio_green.exceptions import ConnectionError, SettingError

SessionSource = requests.Session | Callable[[], requests.Session] | None

# What a websocket handshake says in its own words, or has no use for.
_NOT_FOR_WEBSOCKET = {"accept", "accept-encoding", "connection", "content-length", "cookie", "host", "origin", "upgrade"}
_WITHOUT_PROXY = {"http_proxy_host": "none", "http_proxy_port": 1, "http_no_proxy": ["*"]}


class Http:
    """The requests of one connection; two may be under way at once, from different threads.

    :param source: a session, which stays the caller's; a function that makes one, which is closed with the connection; or
        ``None``.
    :param timeout: seconds for an answer, ``None``: no limit.
    """

    def __init__(
        self, source: SessionSource, target: Target, headers: Mapping[str, str], verify: bool, timeout: float | None, stamp: bool
    ) -> None:
        self._owned = source is None or callable(source)
        self._session = source() if callable(source) else requests.Session() if source is None else source
        self._target = target
        self._headers = dict(headers)
        self._timeout = timeout
        self._stamp = stamp
        self._settings = self._settle_settings(verify)

    def _settle_settings(self, verify: bool) -> dict[str, Any]:
        """Proxies, certificates: of the session and the environment, asked for once instead of with each request."""
        session = self._session
        url = self._target.url("polling")
        # What the session says of certificates is passed on, or requests would let the environment win over it.
        chosen = False if not verify else None if session.verify is True else session.verify
        settings = dict(session.merge_environment_settings(url, {}, None, chosen, None))
        settings["stream"] = False
        return settings

    # --- polling ---------------------------------------------------------------------------------------------------

    def open(self) -> bytes:
        """Ask for a session. Returns the body. Raises :class:`ConnectionError`."""
        return self._request("GET", "", None, self._timeout)

    def poll(self, sid: str, timeout: float) -> bytes:
        """Wait for packets, *timeout* seconds at most. Returns the body. Raises :class:`ConnectionError`."""
        return self._request("GET", sid, None, timeout)

    def post(self, sid: str, body: bytes) -> None:
        """Send packets. Raises :class:`ConnectionError`."""
        self._request("POST", sid, body, self._timeout)

    def _request(self, method: str, sid: str, body: bytes | None, timeout: float | None) -> bytes:
        headers = self._headers if body is None else {**self._headers, "Content-Type": "text/plain;charset=UTF-8"}
        url = self._target.url("polling", sid, self._new_stamp())
        try:
            prepared = self._session.prepare_request(requests.Request(method, url, headers=headers, data=body))
            answer = self._session.send(prepared, timeout=(self._timeout, timeout), allow_redirects=True, **self._settings)
        except (requests.RequestException, OSError) as exc:
            raise explain(exc, self._target.address) from None
        except ValueError as exc:  # what urllib3 has to say of addresses and headers
            raise ConnectionError(f"{self._target.address}: {exc}", kind="protocol") from None
        if not 200 <= answer.status_code < 300:
            raise refusal(answer.status_code, answer.content)
        return answer.content

    def _new_stamp(self) -> str:
        return f"{time.time():.6f}" if self._stamp else ""

    def close(self) -> None:
        """Let go of idle connections. May be called again, also while a request is under way."""
        if not self._owned:
            return
        # Closing the session only forgets the pools; each of them hangs in a cycle, with its sockets, until it is collected.
        pools = [pool for adapter in self._session.adapters.values() for pool in _pools(adapter)]
        self._session.close()
        for pool in pools:
            pool.close()

    # --- websocket -------------------------------------------------------------------------------------------------

    def websocket_url(self, sid: str) -> str:
        return self._target.url("websocket", sid, self._new_stamp(), websocket=True)

    def websocket_options(self, sid: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Return what ``websocket.create_connection`` needs to ask as this session would; *extra* is the user's own."""
        prepared = self._handshake_request(sid)
        names = {name.lower(): name for name in prepared.headers}
        lines = [f"{name}: {_str(value)}" for name, value in prepared.headers.items() if name.lower() not in _NOT_FOR_WEBSOCKET]
        options: dict[str, Any] = {"header": lines, "timeout": self._timeout, "enable_multithread": False}
        options["skip_utf8_validation"] = True  # decoding does that
        if "cookie" in names:
            options["cookie"] = _str(prepared.headers[names["cookie"]])
        if "host" in names:
            options["host"] = _str(prepared.headers[names["host"]])
        if "origin" in names:
            options["origin"] = _str(prepared.headers[names["origin"]])
        elif "origin" not in extra:
            options["suppress_origin"] = True  # as with polling
        if "http_proxy_host" not in extra:
            options.update(self._proxy_options())
        options.update(extra)
        if self._target.secure:
            options["sslopt"] = {**self._tls_options(), **extra.get("sslopt", {})}
        return options

    def _handshake_request(self, sid: str) -> requests.PreparedRequest:
        """The request as it would be by HTTP: authentication and cookies put into it what they always do."""
        request = requests.Request("GET", self._target.url("websocket", sid), headers=self._headers)
        return self._session.prepare_request(request)

    def _tls_options(self) -> dict[str, Any]:
        import ssl

        verify, cert = self._settings["verify"], self._settings["cert"]
        options: dict[str, Any] = {}
        if not verify:
            options.update(cert_reqs=ssl.CERT_NONE, check_hostname=False)
        else:
            bundle = DEFAULT_CA_BUNDLE_PATH if verify is True else os.fspath(verify)
            options["ca_cert_path" if os.path.isdir(bundle) else "ca_certs"] = bundle
        if cert:
            options["certfile"], options["keyfile"] = (cert, None) if isinstance(cert, str) else cert
        return options

    def _proxy_options(self) -> dict[str, Any]:
        proxies = dict(self._settings["proxies"] or {})
        scheme = "wss" if self._target.secure else "ws"
        proxy = proxies.get(scheme) or select_proxy(self._target.url("polling"), proxies)
        if not proxy:
            return dict(_WITHOUT_PROXY)  # or it would look into the environment by itself
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme not in ("http", "socks4", "socks4a", "socks5", "socks5h") or not parts.hostname:
            raise SettingError(f"a websocket can't go through the proxy {parts.scheme}://{parts.hostname}: http or socks only")
        options: dict[str, Any] = {"http_proxy_host": parts.hostname, "proxy_type": parts.scheme}
        options["http_proxy_port"] = parts.port or (80 if parts.scheme == "http" else 1080)
        options["http_proxy_timeout"] = self._timeout
        options["http_no_proxy"] = ["none.invalid"]  # requests has decided that already
        if parts.username:
            options["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
        return options

    def take_cookies(self, header: str | None) -> None:
        """Keep the cookies of a websocket's handshake for the requests to come."""
        if not header:
            return
        message = Message()
        try:
            for morsel in SimpleCookie(header).values():
                message["Set-Cookie"] = morsel.OutputString()
        except CookieError:
            return
        response = SimpleNamespace(_original_response=SimpleNamespace(msg=message))
        request = self._handshake_request("")
        extract_cookies_to_jar(self._session.cookies, request, response)  # type: ignore[no-untyped-call]  # the stubs lack it


def _pools(adapter: Any) -> Iterator[Any]:
    """The connection pools of one of requests' adapters; of another kind of adapter none."""
    for manager in (getattr(adapter, "poolmanager", None), *getattr(adapter, "proxy_manager", {}).values()):
        pools = getattr(manager, "pools", {})
        yield from filter(None, [pools.get(key) for key in list(pools.keys())])


def _str(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
