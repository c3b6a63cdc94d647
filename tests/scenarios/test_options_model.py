"""Which concurrency model a server takes when none is named, what it says of one that does not fit, and of unknown options.

Each case starts a small program of its own: the model is a matter of the whole process.
"""

from __future__ import annotations

import logging
import sys

import pytest
import requests
from programs import Program, check_echo, free_port

import engineio_green

PROGRAM = """
{before}
import logging, sys
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
import engineio_green
eio = engineio_green.Server({arguments} logger=logging.getLogger("model"))

@eio.on("message")
def message(sid, data):
    eio.send(sid, data)

def other(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [eio.async_mode.encode()]

app = engineio_green.WSGIApp(eio, other)
{serve}
"""

SERVE = {
    "pywsgi": "from gevent import pywsgi; pywsgi.WSGIServer(('127.0.0.1', {port}), app).serve_forever()",
    "eventlet": "import eventlet, eventlet.wsgi; eventlet.wsgi.server(eventlet.listen(('127.0.0.1', {port})), app)",
    "werkzeug": "from werkzeug.serving import run_simple; run_simple('127.0.0.1', {port}, app, threaded=True)",
}
GEVENT_PATCH = "from gevent import monkey; monkey.patch_all()"
EVENTLET_PATCH = "import eventlet; eventlet.monkey_patch()"


def program(web_server: str, arguments: str = "", before: str = "") -> tuple[Program, str]:
    """A running program, and its address."""
    port = free_port()
    text = PROGRAM.format(arguments=arguments, before=before, serve=SERVE[web_server].format(port=port))
    running = Program([sys.executable, "-c", text])
    return running, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("web_server", "before", "model"),
    [
        ("pywsgi", "", "gevent"),
        ("eventlet", "", "eventlet"),
        ("werkzeug", "", "threading"),
        ("pywsgi", GEVENT_PATCH, "gevent"),
        ("eventlet", EVENTLET_PATCH, "eventlet"),
        ("werkzeug", "import eventlet, gevent", "threading"),
        ("pywsgi", "import eventlet", "gevent"),
    ],
    ids=["pywsgi", "eventlet", "werkzeug", "patched-pywsgi", "patched-eventlet", "werkzeug-all", "pywsgi-all"],
)
def test_the_model_that_fits_the_server_is_found_with_the_first_request(web_server: str, before: str, model: str):
    running, url = program(web_server, before=before)
    with running:
        running.wait_for_answer(f"{url}/")
        check_echo(url)
        assert requests.get(f"{url}/", timeout=5).text == model
        line = f"INFO model: async_mode {model}; transports polling, websocket"
        assert running.output.count(line) == running.output.count("async_mode") == 1
        assert "ERROR" not in running.output
        assert "Traceback" not in running.output


@pytest.mark.parametrize(
    ("web_server", "named", "around", "fitting"),
    [
        ("pywsgi", "threading", "gevent's greenlets", "gevent"),
        ("werkzeug", "gevent", "plain threads", "threading"),
        ("eventlet", "threading", "eventlet's green threads", "eventlet"),
        ("eventlet", "gevent", "eventlet's green threads", "eventlet"),
    ],
)
def test_a_named_model_that_does_not_fit_the_server_says_what_to_change(web_server: str, named: str, around: str, fitting: str):
    running, url = program(web_server, f"async_mode={named!r},")
    with running:
        running.wait_for_answer(f"{url}/")
        for _ in range(2):
            assert requests.get(f"{url}/engine.io/?EIO=4&transport=polling", timeout=5).status_code == 500
        found = running.wait_for_output(r"DriverError: (.*)", 5)
    assert found[1].startswith(f"async_mode={named!r} does not fit: this WSGI server runs requests in {around}. ")
    assert f"Use async_mode={fitting!r}" in found[1]


@pytest.mark.parametrize(
    ("before", "named", "fitting"),
    [
        (GEVENT_PATCH, "threading", "gevent"),
        (EVENTLET_PATCH, "gevent", "eventlet"),
    ],
    ids=["gevent-patched", "eventlet-patched"],
)
def test_a_named_model_in_a_patched_process_says_what_to_change(before: str, named: str, fitting: str):
    running, _ = program("werkzeug", f"async_mode={named!r},", before)
    with running:
        assert running.wait() != 0
    last = running.output.strip().splitlines()[-1]
    assert "DriverError" in last
    assert f"{fitting} has monkey patched this process" in last
    assert f"use async_mode={fitting!r}" in last


def test_an_unknown_option_is_warned_about_once_and_ignored(caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("model.options")
    server = engineio_green.Server(async_mode="threading", logger=logger, ping_intervall=5, ping_interval=7)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "'ping_intervall'" in warnings[0].getMessage()
    assert "ping_interval," in warnings[0].getMessage()
    assert server.settings.ping_interval == 7
