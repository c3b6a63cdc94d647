"""The Django example, started the ways its docstring names, spoken to over both transports; and Django's own runserver."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import requests
from programs import PollingSession, Program, WebSocketSession, check_echo, free_port, gunicorn_arguments

COMMANDS = [
    f"{sys.executable} examples/django_app.py {{port}}",
    "gunicorn -k gthread -w 1 --threads 8 examples.django_app:app",
]


@pytest.mark.parametrize("command", COMMANDS, ids=["werkzeug", "gunicorn"])
def test_django_view_reaches_every_session_and_the_rest_stays_django(command: str):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with Program(command.format(port=port), {"GUNICORN_CMD_ARGS": gunicorn_arguments(port)}) as program:
        program.wait_for_answer(url)
        check_echo(url)
        polling, direct = PollingSession(url), WebSocketSession(url)
        answer = requests.post(f"{url}notify", data={"text": "to all"}, timeout=10)
        assert answer.json()["told"] >= 2
        assert polling.receive() == direct.receive() == "to all"
        direct.close()
        polling.close()
        assert "Notifications" in requests.get(url, timeout=10).text
        assert requests.get(f"{url}notify", timeout=10).status_code == 405
        assert requests.get(f"{url}nowhere", timeout=10).status_code == 404
    assert "Traceback" not in program.output, program.output


SITE = '''
import engineio_green
from django.core.wsgi import get_wsgi_application

DEBUG, SECRET_KEY, ROOT_URLCONF, WSGI_APPLICATION = True, "of a test", "site_for_test", "site_for_test.application"
urlpatterns = []
eio = engineio_green.Server(async_mode="threading")
eio.on("message", eio.send)


def __getattr__(name):
    if name != "application":
        raise AttributeError(name)
    return engineio_green.WSGIApp(eio, get_wsgi_application())
'''
WSGIREF = '''
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import engineio_green

eio = engineio_green.Server(async_mode="threading")
eio.on("message", eio.send)


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", int(sys.argv[1]), engineio_green.WSGIApp(eio), Threaded).serve_forever()
'''


@pytest.mark.parametrize("source", [SITE, WSGIREF], ids=["runserver", "wsgiref"])
def test_servers_of_the_standard_librarys_kind_serve_both_transports_and_refuse_cleanly(source: str, tmp_path: Path):
    (tmp_path / "site_for_test.py").write_text(source)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    runserver = ["-m", "django", "runserver", f"127.0.0.1:{port}", "--noreload", "--settings", "site_for_test"]
    arguments = runserver if source == SITE else ["site_for_test.py", str(port)]
    with Program([sys.executable, *arguments], {"PYTHONPATH": str(tmp_path)}, cwd=tmp_path) as program:
        program.wait_for_answer(url)
        check_echo(url)
        endpoint = f"{url}engine.io/?EIO=4&transport=polling&sid=nobody"
        for answer in (requests.post(endpoint, data="4x", timeout=10), requests.get(endpoint, timeout=10)):
            assert (answer.status_code, answer.json()["code"]) == (400, 1)
        refused = requests.get(endpoint.replace("polling", "websocket"), headers={"Upgrade": "websocket"}, timeout=10)
        assert refused.status_code == 400
        check_echo(url)
    assert "Traceback" not in program.output, program.output
