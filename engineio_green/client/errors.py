"""Other libraries' errors in this package's words: what a script's user can do something about.

Owns the search for the cause and the sentences. Must not know sessions; knows the libraries by the standard errors that
they wrap only.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from engineio_green.exceptions import ConnectionError


class Lost(Exception):
    """A connection has ended, or cannot be used any more. *reason* is for the disconnect handler."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def explain(error: BaseException, address: str) -> ConnectionError:
    """Return the error that says why *address* could not be reached."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return ConnectionError(f"{address}: there is no such host ({cause.strerror or cause})", kind="address")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConnectionError(f"{address}: its certificate was refused: {cause.verify_message}", kind="tls")
        if isinstance(cause, ssl.SSLError) and "timed out" not in str(cause):
            return ConnectionError(f"{address}: TLS failed: {cause.reason or cause}", kind="tls")
    names = {cause.__class__.__name__ for cause in causes}
    if any("Proxy" in name for name in names):
        return ConnectionError(f"{address}: the proxy did not connect: {_last_words(causes)}", kind="proxy")
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return ConnectionError(f"{address}: nothing listens there (connection refused)", kind="unreachable")
    if any(isinstance(cause, TimeoutError) or "Timeout" in cause.__class__.__name__ for cause in causes):
        return ConnectionError(f"{address}: no answer in time (request_timeout)", kind="timeout")
    return ConnectionError(f"{address}: {_last_words(causes)}", kind="unreachable")


def _last_words(causes: list[BaseException]) -> str:
    """What the innermost error says that says anything."""
    for cause in reversed(causes):
        text = getattr(cause, "strerror", None) or str(cause)
        if text:
            return str(text)
    return causes[0].__class__.__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that it wraps: libraries keep the cause in ``reason``, in ``args`` or where Python does."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [getattr(current, "reason", None), *current.args, current.__cause__, current.__context__]
        queue.extend(found for found in inner if isinstance(found, BaseException))
