"""One websocket on an asyncio transport that a web framework has given up: reads messages, writes frames, closes cleanly.

Owns the transport and the steps of the close. Must not know sessions, packets or frameworks; its owner gets told.
"""

from __future__ import annotations

import asyncio
from typing import Any

from engineio_green.draining import GOING_AWAY
from engineio_green.websocket.channel import Owner, StreamChannel
from engineio_green.websocket.stream import Message, Stream

# What uvloop may hold before it tells us so; the standard library's transports write at once and tell at the first byte left.
HIGH_WATER = 65536
# How long the peer of a connection that can't be closed by half may take to read our close frame.
LINGER_SECONDS = 1.0


class _NoTransport:
    """What is left of a transport that is lost, so that nothing of its framework is kept for as long as somebody looks."""

    def is_closing(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """It is."""

    abort = close


_LOST = _NoTransport()


class TransportChannel(StreamChannel, asyncio.Protocol):
    """The transport calls what ``asyncio.Protocol`` has, the owner everything else.

    :param inner: the framework's protocol, which is told when the connection is lost; it gets nothing else any more.
    :param limit: how many bytes may wait for the peer before its owner does something about it.
    """

    __slots__ = ("_data", "_gone", "_inner", "_lost", "_paused", "_transport")

    def __init__(self, transport: Any, stream: Stream, owner: Owner, inner: asyncio.Protocol | None, limit: int) -> None:
        super().__init__(stream, owner)
        self._transport = transport
        self._inner = inner
        self._data = b""  # read, and not yet taken by the owner
        self._paused = False
        self._lost = False  # there is nobody to write to
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        of_uvloop = type(transport).__module__.startswith("uvloop")
        transport.set_write_buffer_limits(high=min(limit, HIGH_WATER) if of_uvloop else 0, low=0)
        transport.set_protocol(self)

    def begin(self, read_ahead: bytes) -> None:
        """Let the owner read. *read_ahead*: what the framework had read beyond the request."""
        if read_ahead:
            self.data_received(read_ahead)
        if not self._paused and not self._transport.is_closing():
            self._transport.resume_reading()  # frameworks may have paused it

    async def wait_gone(self) -> None:
        """Return when the connection is gone."""
        try:
            await self._gone
        except BaseException:  # the framework ends the request, because the server stops
            self.leave(GOING_AWAY)
            raise

    def leave(self, code: int) -> None:
        """Say goodbye and close, without waiting for an answer."""
        if not self.closed:
            self.close_locked(code)
            self._transport.close()

    # --- called by the transport ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        self.owner.on_readable(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._transport = _LOST
        if not self._gone.done():
            self._gone.set_result(None)
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None
        if not self.closed:
            self.ended = True
            self.stream.feed_eof()
            self.owner.on_lost_locked(self)
            self.owner.on_readable(self)

    def resume_writing(self) -> None:
        self.owner.on_drained_locked()

    # --- called by the owner -------------------------------------------------------------------------------------------

    def read_locked(self) -> list[Message]:
        """Hand over the messages that have come."""
        data, self._data = self._data, b""
        messages = self._take_in_locked(data) if data else []
        if self._lost:
            self.closed = self.ended = True
        return messages

    def pause(self) -> None:
        self._paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if self._data or self._lost:
            asyncio.get_running_loop().call_soon(self.owner.on_readable, self)

    @property
    def unsent_bytes(self) -> int:
        size: int = self._transport.get_write_buffer_size()
        return size

    def write_locked(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _half_close_locked(self) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        if self.stream.close_received:
            transport.close()
        elif transport.can_write_eof():
            transport.write_eof()
        else:  # TLS
            asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)

    def close_socket_locked(self) -> None:
        """Give the connection back, now; what has not been written is lost."""
        if not self.closed:
            self.closed = self.ended = True
            self._transport.abort()

    def on_deadline(self, now: float) -> None:
        """The peer had its time to close."""
        self.close_socket_locked()
