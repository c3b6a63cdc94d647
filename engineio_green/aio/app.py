"""The ASGI application around a server: Engine.IO path first, then static files, then the other application.

Owns the routing, as documented, and the lifespan. Must not know the protocol.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from engineio_green.aio.on_asgi import Receive, Scope, Send, encoded
from engineio_green.core.conditional import REQUEST_HEADERS
from engineio_green.static_files import StaticFiles, StaticResponse

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("engineio_green.server")


class Handling(Protocol):
    """What answers requests: an :class:`AsyncServer`, or a server of another protocol that has one inside."""

    async def handle_request(self, scope: Scope, receive: Receive, send: Send, /) -> Any: ...

    async def shutdown(self) -> None: ...


class ASGIApp:
    """Give Engine.IO traffic to *engineio_server*, static files to themselves, and the rest to *other_asgi_app* or a 404.

    :param engineio_server: the :class:`AsyncServer`.
    :param other_asgi_app: the application that gets all other requests, and the lifespan events.
    :param static_files: a dictionary of rules, see the documentation of static files.
    :param engineio_path: where the server answers, with or without slashes; ``None``: at every path.
    :param on_startup: a function or coroutine function to call when the web server starts.
    :param on_shutdown: the same, when it ends.
    """

    def __init__(
        self,
        engineio_server: Handling,
        other_asgi_app: AsgiApp | None = None,
        static_files: Mapping[str, Any] | None = None,
        engineio_path: str | None = "engine.io",
        on_startup: Callable[[], Any] | None = None,
        on_shutdown: Callable[[], Any] | None = None,
    ) -> None:
        self.engineio_server = engineio_server
        self.other_asgi_app = other_asgi_app
        self.static_files = static_files or {}
        self.engineio_path = None if engineio_path is None else "/" + engineio_path.strip("/")
        self.on_startup = on_startup
        self.on_shutdown = on_shutdown
        self._static = StaticFiles(self.static_files) if self.static_files else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
        elif kind in ("http", "websocket") and self._is_ours(scope):
            await self.engineio_server.handle_request(scope, receive, send)
        else:
            response = self._find_file(scope) if kind == "http" and self._static is not None else None
            if response is not None:
                await _send_file(response, send)
            elif self.other_asgi_app is not None:
                await self.other_asgi_app(scope, receive, send)
            else:
                await self.not_found(receive, send, kind)

    def _is_ours(self, scope: Scope) -> bool:
        if self.engineio_path is None:
            return True
        # Mounted below a prefix, programs name the path with the prefix or without it.
        return any(self._is_below(path) for path in {scope["path"], _path_of(scope)})

    def _is_below(self, path: str) -> bool:
        return path == self.engineio_path or path.startswith(f"{(self.engineio_path or '').rstrip('/')}/")

    # --- static files --------------------------------------------------------------------------------------------------

    def _find_file(self, scope: Scope) -> StaticResponse | None:
        assert self._static is not None
        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers = {name: given[name] for name in REQUEST_HEADERS if name in given}
        return self._static.respond(scope["method"], _path_of(scope), headers)

    async def not_found(self, receive: Receive, send: Send, kind: str = "http") -> None:
        """Answer 404; a websocket is closed before it was open, which servers answer with 403."""
        if kind == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        headers = encoded([("Content-Type", "text/plain"), ("Content-Length", "9")])
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"Not Found"})

    # --- lifespan ------------------------------------------------------------------------------------------------------

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.other_asgi_app is not None and self.on_startup is None and self.on_shutdown is None:
            await self.other_asgi_app(scope, receive, send)
            return
        if self.other_asgi_app is None or not await self._pass_on(self.other_asgi_app, scope, receive, send):
            await self._go_alone(receive, send)

    async def _go_alone(self, receive: Receive, send: Send) -> None:
        """Run our hooks: nobody else takes the events."""
        while True:
            event = await receive()
            step = event["type"]
            if not await self._run_hook(step, send):
                return
            await send({"type": f"{step}.complete"})
            if step == "lifespan.shutdown":
                return

    async def _pass_on(self, app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> bool:
        """Run our hooks, too: ours at startup before the application's, at shutdown after.

        Returns whether the application knows these events: many fail at once when they get something else than a request.
        """
        failed = False
        taken = False

        async def receive_after_hook() -> Any:
            nonlocal failed, taken
            taken = True
            event = await receive()
            if event["type"] == "lifespan.startup" and not await self._run_hook(event["type"], send):
                failed = True
                raise RuntimeError("startup has failed")
            return event

        async def send_after_hook(event: Any) -> None:
            if failed or (event["type"] == "lifespan.shutdown.complete" and not await self._run_hook("lifespan.shutdown", send)):
                return  # the server knows
            await send(event)

        try:
            await app(scope, receive_after_hook, send_after_hook)
        except Exception:
            if not taken:
                return False
            if not failed:
                raise
        return taken

    async def _run_hook(self, step: str, send: Send) -> bool:
        """Call the application's function. Returns whether it went well; if not, the server has been told."""
        hook = self.on_startup if step == "lifespan.startup" else self.on_shutdown
        try:
            if hook is not None:
                result = hook()
                if inspect.isawaitable(result):
                    await result
        except Exception as exc:
            log.exception("the %s function has failed", step.replace("lifespan.", "on_"))
            await send({"type": f"{step}.failed", "message": str(exc)})
            return False
        if step == "lifespan.shutdown":
            await self.engineio_server.shutdown()
        return True


def _path_of(scope: Scope) -> str:
    """Return the path below the place that the application is mounted at: servers and frameworks leave it in."""
    path: str = scope["path"]
    mount: str = scope.get("root_path", "")
    return path[len(mount) :] if mount and path.startswith(mount) else path


async def _send_file(response: StaticResponse, send: Send) -> None:
    """Send a static file block by block."""
    try:
        await send({"type": "http.response.start", "status": int(response.status), "headers": encoded(response.headers)})
        if isinstance(response.body, bytes):
            await send({"type": "http.response.body", "body": response.body})
            return
        for block in response.body:
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        response.close()
