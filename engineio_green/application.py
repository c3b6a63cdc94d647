"""How a server calls the application: its event handlers, and the functions among its options.

Owns the promise that nothing the application raises harms a client, a worker or another handler: it is logged. Must not know
sockets, links or the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engineio_green.core.request import Refusal, forbidden
from engineio_green.core.settings import TOKEN as HEADER_NAME
from engineio_green.core.settings import Settings
from engineio_green.packet import Data

Environ = dict[str, Any]


class Application:
    """The handlers by event, and the options that are functions. Every method may be called from any thread."""

    def __init__(self, settings: Settings, logger: Any) -> None:
        self.settings = settings
        self.logger = logger
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.tap = False  # somebody wants every packet

    def ask_permission(self, environ: Environ) -> Refusal | None:
        """Ask ``allow_request``; one that fails lets nobody in."""
        allow = self.settings.allow_request
        if allow is None:
            return None
        try:
            verdict = allow(environ)
        except Exception:
            self.logger.exception("allow_request has failed")
            verdict = False
        return self.judge(verdict)

    @staticmethod
    def judge(verdict: Any) -> Refusal | None:
        """Return what the answer of ``allow_request`` means."""
        return forbidden(verdict or "") if isinstance(verdict, str) or not verdict else None

    def is_bound(self, binding: Any, environ: Environ) -> bool:
        """Tell whether ``bind_session`` gives for this request what it gave for the handshake: *binding*."""
        bind = self.settings.bind_session
        return bind is None or bind(environ) == binding

    def more_headers(self, sid: str | None, environ: Environ) -> list[tuple[str, str]]:
        """Return the application's own headers, but those that would break the response."""
        function = self.settings.http_headers
        if function is None:
            return []
        try:
            pairs = function(sid, environ) or ()
            headers = [(str(name), str(value)) for name, value in (pairs.items() if isinstance(pairs, dict) else pairs)]
            for name, value in headers:
                value.encode("latin-1")
                if not HEADER_NAME.fullmatch(name) or any(char in value for char in "\r\n\0"):
                    raise ValueError(f"header {name!r} holds a character that a header can't")
        except Exception:
            self.logger.exception("http_headers has failed; its headers are left out")
            return []
        return headers

    def handle_message(self, sid: str, data: Data) -> Any:
        """Call the application's handler; what it raises is logged and harms nobody."""
        handler = self.handlers.get("message")
        if handler is None:
            return
        try:
            handler(sid, data)
        except Exception:
            self.logger.exception("the message handler has failed")

    def trigger(self, event: str, *arguments: Any) -> Any:
        """Call the handler of any other event, if there is one."""
        handler = self.handlers.get(event)
        try:
            if handler is not None:
                handler(*arguments)
        except Exception:
            self.logger.exception("the %s handler has failed", event)
