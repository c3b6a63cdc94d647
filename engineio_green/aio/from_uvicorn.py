"""uvicorn's connection of a websocket, taken over: ours to read and to write, uvicorn's to count and to end.

Owns the knowledge of uvicorn. ASGI hands each message over through a queue, an event dictionary and a switch of tasks, which
is most of what a message costs, and leaves limits and close codes to the server. Where nothing but uvicorn stands between the
transport and us we take it, as we take a WSGI server's socket; in every other case ASGI is spoken.
"""

from __future__ import annotations

from typing import Any

from engineio_green.aio.exchange import Taken, TransportExchange, socket_of

SERVICE_RESTART = 1012  # what uvicorn itself tells websockets when it stops
_MODULES = ("uvicorn.protocols.websockets.websockets_sansio_impl", "uvicorn.protocols.websockets.wsproto_impl")
_NEEDED = ("transport", "handshake_complete", "close_sent", "shutdown", "connection_lost")


def find_protocol(send: Any) -> Any:
    """Return uvicorn's protocol whose own ``send`` this is, or ``None`` for anything else."""
    protocol: Any = getattr(send, "__self__", None)
    if type(protocol).__module__ not in _MODULES or not all(hasattr(protocol, name) for name in _NEEDED):
        return None
    return protocol if hasattr(protocol.transport, "set_protocol") else None


def transport_of(send: Any) -> Any:
    """Return the transport of the connection whose own ``send`` of uvicorn this is, or ``None``."""
    owner = getattr(send, "__self__", None)
    return getattr(owner, "transport", None) if type(owner).__module__.startswith("uvicorn.") else None


class UvicornExchange(TransportExchange):
    """A websocket's request."""

    def __init__(self, server: Any, environ: dict[str, Any], protocol: Any) -> None:
        super().__init__(server, environ)
        self._protocol = protocol
        self._shown = environ["REMOTE_ADDR"], environ["RAW_URI"]

    def find_socket(self) -> Any:
        return socket_of(self._protocol.transport)

    def take(self) -> Taken:
        protocol = self._protocol
        protocol.handshake_complete = protocol.close_sent = True  # so that it has nothing more to say
        # Its own parser and what that has read: half of what a websocket would hold.
        protocol.conn = protocol.request = protocol.response = None
        protocol.shutdown = self._shut_down
        protocol.logger.info('%s - "WebSocket %s" [accepted]', *self._shown)
        return Taken(protocol.transport, protocol, b"")

    def refused(self) -> None:
        """Keep uvicorn from calling a refusal, which it has sent, a missing answer."""
        self._protocol.handshake_complete = True

    def _shut_down(self) -> None:
        if self._channel is not None:
            self._channel.leave(SERVICE_RESTART)

    async def read_part(self) -> None:
        return None  # such a request has no body
