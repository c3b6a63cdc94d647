"""What Socket.IO packages and their applications read and set on servers and clients themselves."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_green import AsyncClient, AsyncServer, Client, Server
from engineio_green.exceptions import SettingError

GIVEN = {
    "allow_upgrades": False,
    "async_handlers": False,
    "compression_threshold": 7,
    "cookie": {"name": "io", "path": "/"},
    "cors_allowed_origins": ["https://one.example", "https://two.example"],
    "cors_credentials": False,
    "http_compression": False,
    "max_http_buffer_size": 4321,
    "monitor_clients": False,
    "ping_interval": 5,
    "ping_timeout": 6,
    "transports": ["websocket"],
}
SERVERS = (lambda **options: Server(async_mode="threading", **options), lambda **options: AsyncServer("asgi", **options))


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize("name", sorted(GIVEN))
def test_an_option_is_read_as_it_was_given(make: Any, name: str):
    assert getattr(make(**GIVEN), name) == GIVEN[name]


@pytest.mark.parametrize("make", SERVERS)
@pytest.mark.parametrize("name", sorted(GIVEN))
def test_an_option_that_is_set_is_the_server_s(make: Any, name: str):
    server = make()
    setattr(server, name, GIVEN[name])
    assert getattr(server, name) == GIVEN[name]
    assert getattr(server.settings, name) == getattr(make(**{name: GIVEN[name]}).settings, name)
    assert server.settings.upgrade_timeout == 10


@pytest.mark.parametrize("make", SERVERS)
def test_the_interval_is_read_without_its_grace(make: Any):
    assert make(ping_interval=(5, 2)).ping_interval == 5


@pytest.mark.parametrize("make", SERVERS)
def test_a_value_that_can_not_work_is_refused_and_changes_nothing(make: Any):
    server = make()
    with pytest.raises(SettingError, match="ping_timeout must be a positive number"):
        server.ping_timeout = -1
    assert server.ping_timeout == 20


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_the_sid_of_a_client_without_a_session_can_be_set(make: Any):
    client = make()
    assert client.sid is None
    client.sid = "mine"
    assert client.sid == "mine"


class Json:
    """Any object will do."""

    def dumps(self, value: Any, **options: Any) -> str:
        return '{"always":"this"}'

    def loads(self, text: str) -> Any:
        return {"always": "that"}


@pytest.mark.parametrize("make", [*SERVERS, Client, AsyncClient])
def test_json_may_be_any_object_with_the_two_functions(make: Any):
    make(json=Json())


@pytest.mark.parametrize("make", SERVERS)
def test_a_server_that_nobody_has_instrumented_has_ordinary_links(make: Any):
    server = make()
    assert server._link_class_now() is server.link_class
    before = server._ok
    server._ok = lambda *args, **kwargs: before(*args, **kwargs)
    assert server._link_class_now() is not server.link_class
    server._ok = before
    assert server._link_class_now() is server.link_class
