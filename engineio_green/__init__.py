"""Engine.IO for Python's green threads and plain threads.

``Server`` with ``WSGIApp`` is the synchronous server. The public names and their meanings are those of the widely used
Python implementation of Engine.IO, so that an application moves here by its import.
"""

from engineio_green import exceptions, json, packet, payload
from engineio_green.server import Server
from engineio_green.wsgi import Middleware, WSGIApp

__all__ = ["Middleware", "Server", "WSGIApp", "exceptions", "json", "packet", "payload"]

__version__ = "0.1.0"
