"""What the core's tests build again and again: settings, sessions in a given state, requests. Owns no expectations."""

from __future__ import annotations

from typing import Any

from engineio_green.core.request import Request
from engineio_green.core.session import Session
from engineio_green.core.settings import Settings, make_settings
from engineio_green.packet import Data, Frame
from engineio_green.payload import encode_payload

HOST = "example.com"


def settings(**options: Any) -> Settings:
    return make_settings(options)


def opening(transport: str = "polling", **options: Any) -> Session:
    """Return a session that the application has not accepted yet."""
    return Session("the-sid", make_settings(options), transport)


def opened(transport: str = "polling", now: float = 0.0, **options: Any) -> Session:
    """Return a session that was accepted at *now*; its open packet is out."""
    session = opening(transport, **options)
    session.accept(now, transport == "polling")
    session.take_frames()
    return session


def upgrading(now: float = 0.0, **options: Any) -> Session:
    """Return a session whose websocket on probation has sent its probe and got the answer."""
    session = opened(now=now, **options)
    assert session.begin_upgrade(now)
    assert session.receive_probe("2probe") == "3probe"
    return session


def upgraded(now: float = 0.0, **options: Any) -> Session:
    session = upgrading(now, **options)
    assert session.receive_probe("5") is None
    assert session.upgraded
    return session


def closing(now: float = 0.0, **options: Any) -> Session:
    """Return a polling session that the server has ended while no poll was held."""
    session = opened(now=now, **options)
    session.disconnect(now)
    return session


def closed(**options: Any) -> Session:
    session = opened(**options)
    session.close("transport close")
    return session


def post(session: Session, body: bytes | None) -> list[Data]:
    """Take in the body of a POST from its beginning to its answer."""
    session.begin_post()
    try:
        return session.receive_payload(body)
    finally:
        session.finish_post()


def take_in(session: Session, frame: Frame) -> Any:
    """Take in one frame in the way of the session's transport. Returns what ``receive`` returns, or the data of a POST."""
    if session.transport == "websocket":
        return session.receive(frame)
    return post(session, encode_payload([frame]))


def request(method: str = "GET", query: str = "EIO=4&transport=polling", **environ: Any) -> Request:
    """Return a request; *environ* in the names of WSGI, ``None`` leaves a name out."""
    values: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "HTTP_HOST": HOST,
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "server",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "192.0.2.1",
        **environ,
    }
    return Request({name: value for name, value in values.items() if value is not None})
