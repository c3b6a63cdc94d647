"""`doctor MODULE:APP` where the application uses python-socketio or Flask-SocketIO: which engineio serves, and where."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from .reading import Examine, examine, problems

__all__ = ["examine"]  # a fixture

ONE_LINE = "import engineio_green; engineio_green.install_as_engineio()\n"
GEVENT = "from gevent import monkey; monkey.patch_all()\n"
FLASK = """
from flask import Flask
from flask_socketio import SocketIO
app = Flask(__name__)
sockets = SocketIO(app, async_mode="threading"{more})
"""
PLAIN = """
import socketio
sio = socketio.Server(async_mode="{mode}")
app = socketio.WSGIApp(sio{more})
"""
REFUSE = """
@sio.on("connect")
def connect(sid, environ, auth):
    raise socketio.exceptions.ConnectionRefusedError("members only")
"""
FACTORY = """
from flask import Flask
from flask_socketio import SocketIO
sockets = SocketIO(async_mode="threading")
def create_app():
    app = Flask(__name__)
    sockets.init_app(app, path="/deep/socket")
    return app
"""
BESIDE = """
other = engineio_green.WSGIApp(engineio_green.Server(async_mode="threading"), engineio_path="other")
"""
TWO_DEEP = """
class Wrapped:
    def __init__(self, wsgi_app):
        self.wsgi_app = wsgi_app
    def __call__(self, environ, start_response):
        return self.wsgi_app(environ, start_response)
wrapped = Wrapped(app)
"""
SOURCES = {
    "flask_app": ONE_LINE + FLASK.format(more=""),
    "flask_path": ONE_LINE + FLASK.format(more=', path="/live/chat"'),
    "flask_foreign": FLASK.format(more=""),
    "plain_gevent": ONE_LINE + GEVENT + PLAIN.format(mode="gevent", more=""),
    "plain_eventlet": ONE_LINE + "import eventlet; eventlet.monkey_patch()\n" + PLAIN.format(mode="eventlet", more=""),
    "plain_path": ONE_LINE + PLAIN.format(mode="threading", more=', socketio_path="live"'),
    "plain_foreign": PLAIN.format(mode="threading", more=""),
    "plain_late": PLAIN.format(mode="threading", more="") + ONE_LINE,
    "plain_refuses": ONE_LINE + PLAIN.format(mode="threading", more="") + REFUSE,
    "factory": ONE_LINE + FACTORY,
    "beside": ONE_LINE + BESIDE + PLAIN.format(mode="threading", more="") + TWO_DEEP,
    "before": ONE_LINE + PLAIN.format(mode="threading", more="") + TWO_DEEP + BESIDE,
    "patched_late": ONE_LINE + "import keeper\n" + GEVENT + PLAIN.format(mode="gevent", more=""),
    "keeper": "from time import sleep\n",
    "without": "import socketio\n" + ONE_LINE.replace("; engineio_green.install_as_engineio()", "")
    + 'app = engineio_green.WSGIApp(engineio_green.Server(async_mode="threading"))\n',
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, source in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENGINEIO_GREEN_AS_ENGINEIO", raising=False)


@pytest.mark.parametrize(
    ("target", "server", "patching"),
    [
        ("flask_app:app", "A Server below Flask-SocketIO at /socket.io/, with async_mode 'threading'", "nothing is monkey"),
        ("flask_path:app", "A Server below Flask-SocketIO at /live/chat/, with async_mode 'threading'", "nothing is monkey"),
        ("factory:create_app()", "A Server below Flask-SocketIO at /deep/socket/, with", "nothing is monkey"),
        ("plain_gevent:app", "A Server below python-socketio at /socket.io/, with async_mode 'gevent'", "gevent has"),
        ("plain_eventlet:app", "A Server below python-socketio at /socket.io/, with async_mode 'eventlet'", "eventlet has"),
        ("plain_path:app", "A Server below python-socketio at /live/, with async_mode 'threading'", "nothing is monkey"),
    ],
)
def test_the_path_is_found_and_a_client_of_socket_io_gets_in(target: str, server: str, patching: str, examine: Examine):
    code, found = examine(target, "--quick")
    assert (code, problems(found)) == (0, {})
    visited = {"handshake", "processes", "polling", "websocket", "upgrade", "Socket.IO", "bodies"}
    assert set(found) == visited | {"server", "patching"}
    assert found["server"][0][1].startswith(server)
    assert patching in found["patching"][0][1]
    assert found["Socket.IO"][0][1].startswith("A client of Socket.IO reaches the namespace /: by polling after ")


@pytest.mark.parametrize("target", ["beside:app", "beside:wrapped", "before:wrapped"])
def test_of_several_servers_the_one_of_the_named_application_is_visited(target: str, examine: Examine):
    code, found = examine(target, "--quick")
    assert (code, problems(found)) == (0, {})
    first, second = (text for _, text in found["server"])
    assert first.startswith("A Server below python-socketio at /socket.io/, with")
    assert second.startswith("A Server with async_mode 'threading'")
    assert "reaches the namespace /" in found["Socket.IO"][0][1]


@pytest.mark.parametrize("target", ["beside:other", "before:other"])
def test_the_application_beside_it_is_visited_as_what_it_is(target: str, examine: Examine):
    code, found = examine(target, "--quick")
    assert (code, problems(found)) == (0, {})
    assert found["server"][0][1].startswith("A Server with async_mode 'threading'")
    assert "Socket.IO" not in found


def test_a_refusal_is_told_as_at_a_url(examine: Examine):
    code, found = examine("plain_refuses:app", "--quick")
    assert (code, set(problems(found))) == (1, {"Socket.IO"})
    assert "which refuses it: the reason given is 'members only'" in problems(found)["Socket.IO"]
    code, found = examine("flask_app:app", "--quick", "--namespace", "/nowhere")
    assert "There is no namespace /nowhere" in problems(found)["Socket.IO"]


@pytest.mark.parametrize(
    ("name", "package", "module"),
    [("flask_foreign", "Flask-SocketIO", "flask_socketio"), ("plain_foreign", "python-socketio", "socketio")],
)
def test_another_engineio_is_named_with_the_line_that_changes_it(
    name: str, package: str, module: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
):
    code, found = examine(f"{name}:app", "--quick")
    assert (code, set(problems(found))) == (1, {"server"})
    assert set(found) == {"server"}
    ((_, text),) = found["server"]
    version = metadata.version("python-engineio")
    assert text.startswith(f"{package} runs on another engineio in this application, python-engineio {version}, and not on ")
    assert f"`{ONE_LINE.strip()}` above the first import of {module};" in text
    # The other ways that it names: the line itself, the variable.
    Path(f"{name}_changed.py").write_text(ONE_LINE + SOURCES[name])
    assert examine(f"{name}_changed:app", "--quick")[0] == 0
    monkeypatch.setenv("ENGINEIO_GREEN_AS_ENGINEIO", "1")
    code, found = examine(f"{name}:app", "--quick")
    assert (code, problems(found)) == (0, {})
    assert f"A Server below {package} at /socket.io/" in found["server"][0][1]
    monkeypatch.setenv("ENGINEIO_GREEN_AS_ENGINEIO", "0")
    assert set(problems(examine(f"{name}:app", "--quick")[1])) == {"server"}


def test_an_application_that_only_imports_the_other_engineio_is_none_of_its_users(examine: Examine):
    code, found = examine("without:app", "--quick")
    assert (code, problems(found)) == (0, {})
    assert "Socket.IO" not in found


def test_patching_is_judged_with_the_line_above_it(examine: Examine):
    code, found = examine("patched_late:app", "--quick")
    assert (code, set(problems(found))) == (1, {"patching"})
    assert "something had been imported before: keeper.sleep is the old time.sleep." in problems(found)["patching"]


def test_a_line_that_comes_too_late_is_a_sentence(examine: Examine):
    code, found = examine("plain_late:app")
    assert code == 2
    assert "comes too late: 'socketio' has been imported already (by plain_late)" in found["error"][0][1]


@pytest.mark.parametrize(("target", "kind"), [("flask_app:sockets", "SocketIO"), ("plain_path:sio", "Server")])
def test_what_is_no_application_is_a_sentence(target: str, kind: str, examine: Examine):
    code, found = examine(target)
    assert code == 2
    assert f"it is a {kind}, which no web server can call; name the WSGI application" in found["error"][0][1]
