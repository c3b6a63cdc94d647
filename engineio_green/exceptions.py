"""The errors of the package, one base class for all.

Owns the classes that cross the public boundary. Knows nothing of transports or frameworks.
"""

from __future__ import annotations

from typing import Any


class EngineIOError(Exception):
    """Base class of every error that this package raises on purpose."""


class PacketError(EngineIOError, ValueError):
    """The peer sent something that is no Engine.IO packet or payload."""


class ConnectionError(EngineIOError):
    """A client could not connect. ``args[0]`` is the message, ``args[1]`` (when present) the server's JSON refusal.

    :param message: what went wrong, in words, with the server's own reason.
    :param details: the decoded JSON body of a refusal, if there was one.
    :param kind: ``"refused"`` (the server answered, and said no), ``"address"`` (no such host), ``"unreachable"`` (nothing
        listens there, or the connection broke), ``"timeout"``, ``"tls"``, ``"proxy"``, ``"protocol"`` (the answer is not
        Engine.IO) or ``"cancelled"`` (``disconnect()`` was called meanwhile).
    :param status: the HTTP status of the answer, or ``None`` when there was none.
    """

    def __init__(self, message: str = "", *details: Any, kind: str = "refused", status: int | None = None) -> None:
        super().__init__(message, *details)
        self.kind = kind
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class NotConnectedError(EngineIOError, RuntimeError):
    """A client was to send something while it was not connected."""


class MessageSizeError(EngineIOError, ValueError):
    """A message is longer than the server said it takes. It was not sent; the session is as it was."""


class SettingError(EngineIOError, ValueError):
    """An option of a server or client has a value that cannot work; the text names the option."""


class DriverError(EngineIOError, RuntimeError):
    """A concurrency model does not fit this process or its dependencies are missing; the text says what to change."""


class InstallError(EngineIOError, RuntimeError):
    """``install_as_engineio()`` comes too late; the text says which import has to move."""
