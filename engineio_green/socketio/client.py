"""The client as python-socketio gets it: one that is not connected drops what it is given to send, instead of raising.

python-socketio sends from its own threads and on its way out, where nobody could catch the error; whether it is connected is its
business, and it tells its own applications. Everything in this module is (compatibility).
"""

from __future__ import annotations

from typing import Any

from engineio_green.client import Client as StrictClient
from engineio_green.exceptions import NotConnectedError


class Client(StrictClient):
    """See the module's text, and :class:`engineio_green.Client`."""

    def send(self, data: Any) -> None:
        """Send a message; without a connection it is logged and dropped. See :meth:`engineio_green.Client.send`."""
        try:
            super().send(data)
        except NotConnectedError as exc:
            self.logger.info("a message was dropped: %s", exc)
