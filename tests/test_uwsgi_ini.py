"""`uwsgi.ini` as it stands, on a real uWSGI: it serves the example, gives a reason for each line, stops and reloads gently."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uwsgi_programs
import websocket
from programs import ROOT, Program, WebSocketSession, check_echo, free_port

from engineio_green import Server
from engineio_green.core.settings import Settings
from engineio_green.exceptions import DriverError, SettingError

INI = (ROOT / "uwsgi.ini").read_text()


@contextmanager
def running(folder: Path) -> Iterator[tuple[Program, str]]:
    """uWSGI with the file, but for the address: a copy has a port that was free."""
    address = f"127.0.0.1:{free_port()}"
    copy = folder / "uwsgi.ini"
    assert "127.0.0.1:5000\n" in INI
    assert "pythonpath = %d\n" in INI
    copy.write_text(INI.replace("127.0.0.1:5000\n", f"{address}\n").replace("= %d\n", f"= {ROOT}\n"))
    with Program([str(uwsgi_programs.wheel()), "--ini", str(copy)]) as process:
        process.wait_for_answer(f"http://{address}/")
        yield process, f"http://{address}/"
    assert not re.search(r"Traceback|[Ee]rror|SEGV|Segmentation", process.output), process.output


def options() -> dict[str, tuple[str, str]]:
    """Each option of the file: its value, and the paragraph of comment above it."""
    found, reason = {}, ""
    for line in INI.splitlines():
        if line.startswith("#"):
            reason += line
        elif "=" in line:
            name, _, value = line.partition("=")
            found[name.strip()] = value.strip(), reason
        else:
            reason = ""
    return found


def test_every_line_has_its_reason():
    assert len(options()) > 15
    for name, (_, reason) in options().items():
        assert len(reason) > 40, name


def test_the_router_waits_longer_than_a_session_is_silent():
    defaults = Settings()
    assert int(options()["http-timeout"][0]) > defaults.ping_interval + defaults.ping_timeout
    assert int(options()["websockets-pong-tolerance"][0]) >= defaults.ping_timeout
    assert int(options()["websockets-max-size"][0]) * 1024 >= defaults.max_http_buffer_size


def test_the_file_serves_the_example_on_both_transports(tmp_path: Path):
    with running(tmp_path) as (process, url):
        check_echo(url)
        assert "async_mode" not in process.output  # nothing was said that nobody asked for
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["stop", "reload"])
def test_a_stop_and_a_reload_tell_the_clients(tmp_path: Path, number: int):
    with running(tmp_path) as (process, url):
        session = WebSocketSession(url)
        process.signal(number)
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            session.receive()  # reads over the close packet; no message was sent
        if number == signal.SIGHUP:
            process.wait_for_output("Respawned uWSGI worker")
            check_echo(url)
            process.signal(signal.SIGTERM)
        assert process.wait() == 0


APPLICATION = """
import engineio_green
print("async_mode is", engineio_green.Server().async_mode)
application = lambda environ, start_response: [b""]
"""


@pytest.mark.parametrize(("arguments", "mode"), [(["--gevent", "4"], "gevent_uwsgi"), (["--threads", "4"], "gevent")])
def test_the_mode_is_found_inside_uwsgi_on_gevent_only(tmp_path: Path, arguments: list[str], mode: str):
    script = tmp_path / "application.py"
    script.write_text(APPLICATION)
    command = [str(uwsgi_programs.wheel()), "--http-socket", f"127.0.0.1:{free_port()}", "--wsgi-file", str(script)]
    with Program([*command, *arguments]) as process:
        assert process.wait_for_output(r"async_mode is (\w+)")[1] == mode


def test_the_mode_asked_for_elsewhere_is_refused_with_what_to_do():
    with pytest.raises(DriverError, match=r"not uWSGI's; start the application with uwsgi --gevent"):
        Server(async_mode="gevent_uwsgi")
    assert Server().async_mode != "gevent_uwsgi"


def test_another_engine_is_refused_by_name():
    with pytest.raises(SettingError, match="uwsgi_websocket must be 'raw' or 'native', not 'fast'"):
        Server(uwsgi_websocket="fast")
