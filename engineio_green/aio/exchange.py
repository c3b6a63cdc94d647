"""What the requests of all frameworks have in common that let us have their transport.

Must not know which frameworks there are.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from engineio_green.aio.transport import TransportChannel
from engineio_green.application import Environ
from engineio_green.link import Link
from engineio_green.websocket.handshake import find_fault

if TYPE_CHECKING:
    from engineio_green.aio.server import AsyncServer


def socket_of(transport: Any) -> Any:
    """Return the socket of a transport of asyncio, for its options only, or ``None``."""
    return None if transport is None or transport.is_closing() else transport.get_extra_info("socket")


class ClientGone(Exception):
    """There is nobody any more to answer."""


class Taken(NamedTuple):
    """A connection that is ours now, the protocol that it had, and what that has read beyond the request."""

    transport: Any
    inner: asyncio.Protocol | None
    read_ahead: bytes


class TransportExchange(ABC):
    """One request; the framework's part is in the subclass."""

    can_upgrade = True

    def __init__(self, server: AsyncServer, environ: Environ) -> None:
        self._server = server
        self._environ = environ
        self._read_ahead = b""
        self._channel: TransportChannel | None = None

    def find_fault(self) -> str | None:
        return find_fault(self._environ, self._environ["SERVER_PROTOCOL"])

    async def accept(self, link: Link, headers: list[tuple[str, str]]) -> TransportChannel:
        head, stream = self._server.make_stream(self._environ, headers)
        self._environ = {}  # a websocket that lives for days has no use for it
        transport, inner, self._read_ahead = self.take()
        if transport is None or transport.is_closing():
            raise ClientGone
        limit = self._server.settings.max_buffered_bytes
        self._channel = TransportChannel(transport, stream, link, inner, limit)
        self._channel.write_locked(head)
        return self._channel

    def begin(self) -> TransportChannel:
        """Let the websocket be read."""
        assert self._channel is not None
        self._channel.begin(self._read_ahead)
        return self._channel

    async def serve(self) -> None:
        """Let the websocket be read. Returns when it has closed."""
        await self.begin().wait_gone()

    @abstractmethod
    def find_socket(self) -> Any:
        """See :class:`Exchange`."""

    @abstractmethod
    def take(self) -> Taken:
        """Take the connection from the framework, which has answered nothing."""

    async def read_body(self, length: int | None, limit: int) -> bytes | None:
        """See :class:`Exchange`."""
        parts, size = [], 0
        try:
            while size <= limit:
                part = await self.read_part()
                if not part:
                    break
                parts.append(part)
                size += len(part)
        except Exception as exc:  # each framework has its own errors for a client that goes away or sends nonsense
            self._server.logger.debug("a body could not be read: %r", exc)
            return None
        return None if length is not None and size != length else b"".join(parts)

    @abstractmethod
    async def read_part(self) -> bytes | None:
        """Return the next part of the body; nothing at its end."""
