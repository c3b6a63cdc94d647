"""What an owner knows of its websocket, whoever moves the bytes, and what all that speak RFC 6455 themselves have in common.

Owns the step from bytes to messages and back, with the closing handshake. Must not know sockets, sessions or packets.
Methods that end in ``_locked`` want the caller to hold the owner's lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from engineio_green.websocket.stream import Message, Stream


class Owner(Protocol):
    """Who is told of what happens on a connection. *lock* guards the connection's writing, closing and parsing."""

    lock: Any

    def on_readable(self, connection: Any) -> None:
        """There is something to read: runs in a worker, may block."""

    def on_blocked(self) -> None:
        """The worker has not come back from ``on_readable``: never blocks."""

    def on_lost_locked(self, connection: Any) -> None:
        """Writing has failed."""

    def on_drained_locked(self) -> None:
        """Everything that the kernel had not taken at first is sent."""


class Channel(Protocol):
    """What an owner knows of its websocket, whoever moves the bytes."""

    @property
    def owner(self) -> Owner: ...

    @property
    def closed(self) -> bool:
        """The connection is given back."""

    @property
    def ended(self) -> bool:
        """The peer sends no more messages."""

    @property
    def failed(self) -> bool:
        """The peer has broken a rule."""

    @property
    def unsent_bytes(self) -> int:
        """What has not been taken from us yet."""

    @property
    def shares_frames(self) -> bool:
        """Whether :meth:`write_locked` may send what ``encode_frame`` gives. The same all its life."""

    def read_locked(self) -> list[Message]: ...

    def send_locked(self, messages: list[Message]) -> None: ...

    def write_locked(self, data: bytes) -> None: ...

    def pause(self) -> None:
        """Let nothing more be read before :meth:`resume`."""

    def resume(self) -> None: ...

    def close_locked(self, code: int, reason: str = "") -> None: ...

    def close_socket_locked(self) -> None: ...

    def on_deadline(self, now: float) -> None: ...


class StreamChannel(ABC):
    """A websocket whose frames are made here, by a :class:`Stream`."""

    __slots__ = ("closed", "ended", "owner", "shares_frames", "stream")

    def __init__(self, stream: Stream, owner: Owner) -> None:
        self.stream = stream
        self.shares_frames = stream.shares_frames
        self.owner = owner
        self.ended = False  # the peer sends no more messages
        self.closed = False  # the connection is given back

    @property
    def failed(self) -> bool:
        return self.stream.failed

    def _take_in_locked(self, data: bytes) -> list[Message]:
        stream = self.stream
        messages = stream.feed(data)
        if stream.untouched:
            return messages
        output, last = stream.take_output()
        if output:
            self.write_locked(output)
        if not stream.open:
            self.ended = True
            if last:
                self._half_close_locked()
        return messages

    def send_locked(self, messages: list[Message]) -> None:
        """Send *messages*, in one write."""
        encode = self.stream.encode
        self.write_locked(encode(messages[0]) if len(messages) == 1 else b"".join(map(encode, messages)))

    @abstractmethod
    def write_locked(self, data: bytes) -> None:
        """Send *data* as soon as the connection takes it."""

    @abstractmethod
    def _half_close_locked(self) -> None:
        """Everything is said: close, when the peer has heard it."""

    def close_locked(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake. The socket closes when the peer has answered, or by :meth:`abort_locked`."""
        if self.closed:
            return
        self.stream.close(code, reason)
        output, _ = self.stream.take_output()
        if output:
            self.write_locked(output)
