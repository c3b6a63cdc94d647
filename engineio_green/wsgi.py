"""The WSGI application around a server: Engine.IO path first, then static files, then the other application.

Owns the routing, as documented. Must not know the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engineio_green.application import Environ
from engineio_green.server import Server
from engineio_green.serving import StartResponse
from engineio_green.static_files import StaticFiles, serve_wsgi

WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]


class WSGIApp:
    """Give Engine.IO traffic to *engineio_app*, static files to themselves, and the rest to *wsgi_app* or a 404.

    :param engineio_app: the :class:`Server`.
    :param wsgi_app: the application that gets all other requests.
    :param static_files: a dictionary of rules, see the documentation of static files.
    :param engineio_path: where the server answers, with or without slashes.
    """

    def __init__(
        self,
        engineio_app: Server,
        wsgi_app: WsgiApp | None = None,
        static_files: Mapping[str, Any] | None = None,
        engineio_path: str = "engine.io",
    ) -> None:
        self.engineio_app = engineio_app
        self.wsgi_app = wsgi_app
        self.static_files = static_files or {}
        self.engineio_path = "/" + engineio_path.strip("/")
        self._below = self.engineio_path.rstrip("/") + "/"
        self._static = StaticFiles(self.static_files) if self.static_files else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(self._below) or path == self.engineio_path:
            return self.engineio_app.handle_request(environ, start_response)
        if self._static is not None:
            served = serve_wsgi(self._static, environ, start_response)
            if served is not None:
                return served
        if self.wsgi_app is not None:
            return self.wsgi_app(environ, start_response)
        return self.not_found(start_response)

    def not_found(self, start_response: StartResponse) -> list[bytes]:
        """Answer 404."""
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "9")])
        return [b"Not Found"]


class Middleware(WSGIApp):
    """The old name of :class:`WSGIApp`."""
