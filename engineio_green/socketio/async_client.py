"""The asyncio client as python-socketio gets it; see `client.py`. Everything in this module is (compatibility)."""

from __future__ import annotations

from typing import Any

from engineio_green.aio.client import AsyncClient as StrictAsyncClient
from engineio_green.exceptions import NotConnectedError


class AsyncClient(StrictAsyncClient):
    """See the module's text, and :class:`engineio_green.AsyncClient`."""

    async def send(self, data: Any) -> None:
        """Send a message; without a connection it is logged and dropped. See :meth:`engineio_green.AsyncClient.send`."""
        try:
            await super().send(data)
        except NotConnectedError as exc:
            self.logger.info("a message was dropped: %s", exc)
