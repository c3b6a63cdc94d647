"""What python-socketio, Flask-SocketIO and applications on top of them read and set on a server itself.

Owns which options are attributes, what setting one does, and how ``sio.instrument()`` is noticed. A program that imports this
package itself passes options to the server's constructor. ``(compatibility)`` in a docstring marks what exists for those
packages only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any

from engineio_green.core.settings import Settings, make_settings
from engineio_green.packet import Packet
from engineio_green.payload import encode_payload

if TYPE_CHECKING:
    from engineio_green.link import Link

# Options whose form is changed when they are checked: who reads them gets what was given.
_AS_GIVEN = ("cookie", "cors_allowed_origins", "transports")


class Option:
    """One option as an attribute. Setting it checks the value, and takes effect for clients that connect from then on."""

    def __init__(self) -> None:
        self._name = ""
        self.__doc__ = "An option (compatibility)."

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, server: OptionAttributes | None, owner: type | None = None) -> Any:
        if server is None:
            return self
        if self._name in _AS_GIVEN:
            return server.given_options.get(self._name)
        return getattr(server.settings, self._name)

    def __set__(self, server: OptionAttributes, value: Any) -> None:
        options = {**server.given_options, self._name: value}
        server.settings = make_settings(options)
        server.given_options = options


class OptionAttributes:
    """The documented options of a server (compatibility)."""

    settings: Settings
    given_options: Mapping[str, Any] = {}
    """The options in the form in which they were given."""

    allow_upgrades = Option()
    async_handlers = Option()  # assigned by Flask-SocketIO's test client; holds at once, for clients that are there, too
    compression_threshold = Option()
    cookie = Option()
    cors_allowed_origins = Option()
    cors_credentials = Option()
    http_compression = Option()
    max_http_buffer_size = Option()
    monitor_clients = Option()
    ping_interval = Option()
    ping_timeout = Option()
    transports = Option()


class Instrumented:
    """The part of a server that ``sio.instrument()`` of python-socketio replaces (compatibility)."""

    link_class: type[Link]

    def _ok(self, packets: Iterable[Packet] | None = None, headers: Any = None, jsonp_index: int | None = None) -> dict[str, Any]:
        """Return what answers a poll with *packets*. To be replaced on the server, by who wants to be told of polled packets."""
        body = b"OK" if packets is None else encode_payload(packet.frame() for packet in packets)
        return {"status": "200 OK", "headers": list(headers or ()), "response": body}

    def _link_class_now(self) -> type[Link]:
        """Return the class for the next client: while ``_ok`` is replaced, the one that tells of packets."""
        replaced = vars(self).get("_ok")
        if replaced is None or replaced == MethodType(Instrumented._ok, self):
            return self.link_class
        from engineio_green.socketio.admin import metered

        return metered(self.link_class)
