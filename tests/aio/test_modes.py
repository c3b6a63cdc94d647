"""Which framework carries the server, and what is said of one that can't."""

from __future__ import annotations

import sys

import pytest
from aiohttp import web

import engineio_green
from engineio_green import AsyncServer, get_tornado_handler
from engineio_green.aio import modes
from engineio_green.exceptions import DriverError, SettingError


def test_the_first_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch):
    assert AsyncServer().async_mode == "aiohttp"
    found = []
    for module in ("on_aiohttp", "on_sanic", "on_tornado"):
        monkeypatch.setitem(sys.modules, f"engineio_green.aio.{module}", None)
        found.append(AsyncServer().async_mode)
    assert found == ["sanic", "tornado", "asgi"]


def test_a_framework_that_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "engineio_green.aio.on_tornado", None)
    with pytest.raises(DriverError, match=r"needs tornado, which is not installed .*: pip install tornado"):
        AsyncServer(async_mode="tornado")
    with pytest.raises(DriverError, match="pip install tornado"):
        get_tornado_handler(AsyncServer(async_mode="asgi"))


def test_an_unknown_mode_is_refused_with_the_known_ones():
    with pytest.raises(DriverError, match="one of 'aiohttp', 'sanic', 'tornado', 'asgi', not 'twisted'"):
        AsyncServer(async_mode="twisted")


@pytest.mark.parametrize(("mode", "advice"), [("asgi", "ASGIApp"), ("tornado", "get_tornado_handler")])
def test_attach_says_how_the_others_are_attached(mode: str, advice: str):
    with pytest.raises(DriverError, match=advice):
        AsyncServer(async_mode=mode).attach(web.Application())


def test_options_are_checked_as_the_synchronous_server_does():
    with pytest.raises(SettingError, match="ping_interval"):
        AsyncServer(async_mode="asgi", ping_interval=-1)
    assert AsyncServer(async_mode="asgi", ping_interval=(25, 5)).settings.ping_grace == 5


def test_the_public_names_are_found_late():
    assert engineio_green.AsyncServer is AsyncServer
    assert set(modes.MODES) == {"aiohttp", "sanic", "tornado", "asgi"}
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = engineio_green.no_such_name
