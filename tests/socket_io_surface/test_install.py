"""`import engineio` as this package: by the one call, by `python -m engineio_green run`, by the environment.

Each case is a program of its own, since what a name means is a matter of the whole process.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from programs import Program, environment, free_port

from engineio_green.socketio.modules import ATTRIBUTES, MODULES

INSTALL = "import engineio_green; engineio_green.install_as_engineio()\n"


def run(code: str, *arguments: str, folder: Path | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a program text in a fresh interpreter."""
    command = [sys.executable, *arguments, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=environment(extra), check=False)


def output_of(code: str, *arguments: str, **extra: str) -> str:
    done = run(code, *arguments, **extra)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def started_by_run(*command: str, folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """What `python -m engineio_green run ...` did."""
    line = [sys.executable, "-m", "engineio_green", "run", *command]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=folder, env=environment(extra), check=False)


@pytest.fixture
def shows(tmp_path: Path) -> Path:
    """A program that shows who engineio is, and with which arguments it was started."""
    file = tmp_path / "shows.py"
    file.write_text("import engineio, sys\nprint(engineio.Server.__module__, __name__, sys.argv[1:])\n")
    return file


SHOWN = "engineio_green.server __main__ ['a', '--b']"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_can_be_imported_and_has_its_names(module: str):
    names = ", ".join(MODULES[module])
    code = INSTALL + f"import engineio.{module} as module\nassert module.__name__ == 'engineio.{module}', module\n"
    if names:
        code += f"from engineio.{module} import {names}\n"
    assert output_of(code) == ""


def test_the_package_has_its_modules_as_attributes():
    found = output_of(INSTALL + f"import engineio\nprint([getattr(engineio, name).__name__ for name in {ATTRIBUTES!r}])")
    assert found == str([f"engineio.{name}" for name in ATTRIBUTES])


def test_names_are_those_of_this_package_although_the_other_is_installed():
    code = INSTALL + """
import engineio, engineio_green, importlib.metadata
assert importlib.metadata.version("python-engineio")
assert engineio.Server is engineio_green.Server
assert engineio.AsyncServer is engineio_green.AsyncServer
assert issubclass(engineio.Client, engineio_green.Client)
assert issubclass(engineio.AsyncClient, engineio_green.AsyncClient)
assert engineio.exceptions.ConnectionError is engineio_green.exceptions.ConnectionError
assert engineio.packet.Packet is engineio_green.packet.Packet
import socketio, flask_socketio
assert type(socketio.Server().eio) is engineio_green.Server
"""
    output_of(code)


def test_what_is_not_there_is_an_import_error_and_no_other_engineio_is_found():
    done = run(INSTALL + "import engineio.nothing_of_the_sort")
    assert "ModuleNotFoundError: No module named 'engineio.nothing_of_the_sort'" in done.stderr
    done = run(INSTALL + "from engineio import nothing_of_the_sort")
    assert "ImportError: cannot import name 'nothing_of_the_sort' from 'engineio'" in done.stderr


def test_a_second_call_does_nothing():
    assert output_of(INSTALL * 2 + "import socketio; engineio_green.install_as_engineio(); print('fine')") == "fine"


def test_a_call_that_comes_too_late_names_the_import_that_has_to_move(tmp_path: Path):
    (tmp_path / "extensions.py").write_text("from flask_socketio import SocketIO\n")
    done = run("import extensions, engineio_green\nengineio_green.install_as_engineio()", folder=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("engineio_green.exceptions.InstallError: ")
    assert "'flask_socketio' has been imported already (by extensions)" in last
    assert "Move the call above the first 'import flask_socketio'" in last


@pytest.mark.parametrize("early", ["socketio", "engineio", "flask_socketio"])
def test_each_of_the_packages_is_too_early(early: str):
    done = run(f"import {early}, engineio_green\nengineio_green.install_as_engineio()")
    assert f"Move the call above the first 'import {early}'" in done.stderr


def test_the_call_imports_nothing_that_gevent_and_eventlet_patch():
    code = INSTALL + """
import sys
print([name for name in ("ssl", "socket", "threading", "queue", "select", "subprocess", "signal") if name in sys.modules])
"""
    assert output_of(code, "-S", PYTHONPATH=str(Path(__file__).parents[2])) == "[]"


def test_gevent_may_patch_after_the_call():
    code = INSTALL + """
import warnings
warnings.simplefilter("error")
from gevent import monkey
monkey.patch_all()
import socketio
print(socketio.Server(async_mode="gevent").eio.async_mode)
"""
    assert output_of(code) == "gevent"


def test_the_limit_that_applications_assign_is_the_default_of_the_option():
    code = INSTALL + """
from engineio.payload import Payload
import socketio
Payload.max_decode_packets = 77
print(socketio.Server().eio.settings.max_packets_per_payload)
"""
    assert output_of(code) == "77"


def test_a_payload_is_decoded_and_encoded_as_documented():
    code = INSTALL + """
from engineio.packet import MESSAGE, Packet
from engineio.payload import Payload
text = Payload(packets=[Packet(MESSAGE, "one"), Packet(MESSAGE, b"two")]).encode()
print(text.encode(), [(packet.packet_type, packet.data) for packet in Payload(encoded_payload=text).packets])
"""
    assert output_of(code) == r"b'4one\x1ebdHdv' [(4, 'one'), (4, b'two')]"


# --- python -m engineio_green run --------------------------------------------------------------------------------------------


def test_run_starts_a_file(shows: Path, tmp_path: Path):
    done = started_by_run("shows.py", "a", "--b", folder=tmp_path)
    assert (done.stdout.strip(), done.stderr) == (SHOWN, "")


def test_run_starts_a_module(shows: Path, tmp_path: Path):
    done = started_by_run("-m", "shows", "a", "--b", folder=tmp_path)
    assert (done.stdout.strip(), done.stderr) == (SHOWN, "")


def test_run_starts_a_console_script(tmp_path: Path):
    (tmp_path / "app.py").write_text(
        "import engineio, flask\nprint(engineio.Server.__module__)\napp = flask.Flask('app')\n"
    )
    done = started_by_run("flask", "--app", "app", "routes", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("engineio_green.server\n")


def test_run_starts_a_program_that_is_no_python(tmp_path: Path):
    done = started_by_run("env", folder=tmp_path)
    assert "ENGINEIO_GREEN_AS_ENGINEIO=1" in done.stdout.splitlines()


def test_run_keeps_the_options_of_the_interpreter(tmp_path: Path):
    (tmp_path / "shows.py").write_text("import sys\nprint(sys.flags.optimize, sys.flags.dev_mode)\n")
    line = [sys.executable, "-O", "-X", "dev", "-m", "engineio_green", "run", "shows.py"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment(), check=False)
    assert done.stdout.strip() == "1 True"


def test_run_hands_the_exit_code_on(tmp_path: Path):
    (tmp_path / "ends.py").write_text("raise SystemExit(17)\n")
    assert started_by_run("ends.py", folder=tmp_path).returncode == 17


def test_signals_reach_the_program_itself(tmp_path: Path):
    (tmp_path / "waits.py").write_text(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nprint('ready')\ntime.sleep(60)\n"
    )
    with Program([sys.executable, "-m", "engineio_green", "run", "waits.py"], cwd=tmp_path) as program:
        program.wait_for_output("ready")
        program.signal(signal.SIGTERM)
        assert program.wait(10) == 3


def test_the_python_programs_that_it_starts_have_it_too(tmp_path: Path, shows: Path):
    (tmp_path / "starts.py").write_text("import subprocess, sys\nsubprocess.run([sys.executable, 'shows.py', 'a', '--b'])\n")
    assert started_by_run("starts.py", folder=tmp_path).stdout.strip() == SHOWN


def test_a_sitecustomize_that_is_there_runs_as_well(tmp_path: Path, shows: Path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("print('customized')\n")
    done = started_by_run("shows.py", "a", "--b", folder=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.stdout.splitlines()[-2:] == ["customized", SHOWN]


def test_run_says_what_it_can_not_find(tmp_path: Path):
    done = started_by_run("no-such-thing", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("There is no file and no console script 'no-such-thing'.")
    done = started_by_run(folder=tmp_path)
    assert (done.returncode, done.stderr.startswith("Name what to run: ")) == (2, True)


FLASK_APP = """
import engineio
from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)

@app.get("/")
def index():
    return engineio.Server.__module__ + " %s"
"""


def test_the_reloader_of_flask_keeps_it(tmp_path: Path):
    application = tmp_path / "app.py"
    application.write_text(FLASK_APP % "first")
    port = free_port()
    command = ["-m", "engineio_green", "run", "flask", "run", "--debug", "--port", str(port)]
    with Program([sys.executable, *command], cwd=tmp_path) as program:
        for round_ in ("first", "second"):
            application.write_text(FLASK_APP % round_)
            program.wait_for_output(r"Debugger is active")
            assert page(program, port, round_) == f"engineio_green.server {round_}"


def page(program: Program, port: int, last_word: str) -> str:
    """The page, once it ends with *last_word*."""
    import requests
    from scenarios.waiting import wait_until

    def look() -> str | None:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        try:
            text = requests.get(f"http://127.0.0.1:{port}/", timeout=10).text
        except requests.ConnectionError:
            return None  # between two of the reloader's children
        return text if text.endswith(last_word) else None

    return str(wait_until(look, f"the page of the {last_word} version", 30, pause=0.1))


# --- the environment -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "wanted"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_the_variable_is_read_as_people_write_it(value: str, wanted: bool):
    code = "from engineio_green.socketio.install import install_if_wanted; install_if_wanted(); import engineio"
    shown = output_of(code + "; print(engineio.Server.__module__)", ENGINEIO_GREEN_AS_ENGINEIO=value)
    assert shown == ("engineio_green.server" if wanted else "engineio.server")


GUNICORN_APP = """
import engineio

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [engineio.Server.__module__.encode()]
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "python:engineio_green.gunicorn_conf"],
        ["-k", "engineio_green.workers.ThreadWorker"],
        ["-k", "engineio_green.workers.GeventWorker"],
        ["-k", "engineio_green.workers.EventletWorker"],
    ],
)
@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_gunicorn_has_it_before_the_application_is_loaded(arguments: list[str], preload: list[str], tmp_path: Path):
    from programs import gunicorn_arguments

    (tmp_path / "module.py").write_text(GUNICORN_APP)
    port = free_port()
    extra = {"GUNICORN_CMD_ARGS": gunicorn_arguments(port), "ENGINEIO_GREEN_AS_ENGINEIO": "1"}
    with Program([sys.executable, "-m", "gunicorn", *arguments, *preload, "module:app"], extra, tmp_path) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        assert page(program, port, "server") == "engineio_green.server"


def test_uwsgi_has_it_before_the_application_is_loaded(tmp_path: Path):
    import uwsgi_programs
    from programs import ROOT

    (tmp_path / "module.py").write_text(GUNICORN_APP)
    port = free_port()
    ini = (ROOT / "uwsgi.ini").read_text()
    ini = re.sub(r"^http = .*", f"http = 127.0.0.1:{port}", ini, flags=re.M)
    ini = re.sub(r"^wsgi-file = .*", "wsgi-file = module.py", ini, flags=re.M)
    ini, count = re.subn(r"^#env = ENGINEIO", "env = ENGINEIO", ini, flags=re.M)
    assert count == 1
    (tmp_path / "uwsgi.ini").write_text(ini)
    with Program([str(uwsgi_programs.wheel()), "--ini", "uwsgi.ini"], cwd=tmp_path) as program:
        assert page(program, port, "server") == "engineio_green.server"
        program.signal(signal.SIGTERM)
        program.wait(30)


def test_the_table_of_modules_is_what_the_installed_packages_ask_for():
    """Every import of engineio in the installed python-socketio and Flask-SocketIO is in the table."""
    code = """
import ast, json, pathlib, socketio, flask_socketio
found = set()
for package in (socketio, flask_socketio):
    for path in pathlib.Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "engineio" and not node.level:
                found.update(f"{node.module}:{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                found.update(f"{alias.name}:" for alias in node.names if alias.name.partition(".")[0] == "engineio")
print(json.dumps(sorted(found)))
"""
    asked = json.loads(output_of(code))
    assert "engineio.socket:Socket" in asked
    for place in asked:
        module, name = place.split(":")
        output_of(INSTALL + (f"from {module} import {name}" if name else f"import {module}"))
