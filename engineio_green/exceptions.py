"""The errors of the package, one base class for all.

Owns the classes that cross the public boundary. Knows nothing of transports or frameworks.
"""

from __future__ import annotations


class EngineIOError(Exception):
    """Base class of every error that this package raises on purpose."""


class PacketError(EngineIOError, ValueError):
    """The peer sent something that is no Engine.IO packet or payload."""


class ConnectionError(EngineIOError):
    """A client could not connect. ``args[0]`` is the message, ``args[1]`` (when present) the server's JSON refusal."""


class SettingError(EngineIOError, ValueError):
    """An option of a server or client has a value that cannot work; the text names the option."""


class DriverError(EngineIOError, RuntimeError):
    """A concurrency model does not fit this process or its dependencies are missing; the text says what to change."""
