"""The README is true: each command and each program in it is run, and its tables are compared with the package."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest
import requests
import socketio
from interop.toolchain import install_client
from packaging.requirements import Requirement
from programs import ROOT, Program, check_echo, environment, free_port, gunicorn_arguments

from engineio_green.core.settings import OPTION_NAMES

README = (ROOT / "README.md").read_text(encoding="utf-8")
# As the compatible API documents them; everything else is an addition that the README has to name.
DOCUMENTED_OPTIONS = {
    *("async_mode", "ping_interval", "ping_timeout", "max_http_buffer_size", "allow_upgrades", "http_compression"),
    *("compression_threshold", "cookie", "cors_allowed_origins", "cors_credentials", "logger", "json", "async_handlers"),
    *("monitor_clients", "transports"),
}
FULL_TEST_RUN = 'pip install -e ".[test]" && python -m pytest'


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_line(text: str) -> str:
    return text.splitlines()[0]


CLIENTS = [block for block in blocks("python") if "Client(" in block]
SOCKET_IO_SERVERS = blocks("python", section("Socket.IO"))
SERVERS = [block for block in blocks("python") if "5000" in block and block not in CLIENTS + SOCKET_IO_SERVERS]
SNIPPETS = [block for block in blocks("python") if "5000" not in block]
BENCHMARK = "python -m tests.bench"
*SOCKET_IO_COMMANDS, SOCKET_IO_EXAMPLE = [block.strip() for block in blocks("sh", section("Socket.IO"))]
ELSEWHERE = (FULL_TEST_RUN, BENCHMARK, *SOCKET_IO_COMMANDS, SOCKET_IO_EXAMPLE)
COMMANDS = [block.strip() for block in blocks("sh") if block.strip() not in ELSEWHERE]


def is_installed(requirement: Requirement) -> bool:
    try:
        return metadata.version(requirement.name) in requirement.specifier
    except metadata.PackageNotFoundError:
        return False


def is_satisfied(command: str) -> bool:
    """Whether this interpreter already has what `pip install -e ".[extra,...]"` would install."""
    extras = re.fullmatch(r'pip install -e "\.\[([\w,]+)\]"', command)
    assert extras, f"a kind of installation that this test can't judge: {command}"
    own = metadata.distribution("engineio_green")
    wanted = [Requirement(line) for line in own.requires or ()]
    needed = [
        requirement
        for requirement in wanted
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras[1].split(","))
    ]
    return all(is_installed(requirement) for requirement in needed)


@contextmanager
def prepared(command: str, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The command without its installation part, which is done in a fresh environment where it is not satisfied here."""
    install, joined, rest = command.partition(" && ")
    if not joined:
        yield command, {}
    elif is_satisfied(install):
        yield rest, {}
    else:
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
        path = f"{tmp_path / 'venv' / 'bin'}:{environment()['PATH']}"
        subprocess.run(install, shell=True, check=True, cwd=ROOT, env=environment({"PATH": path}))
        yield rest, {"PATH": path}


def with_port(command: str, port: int) -> str:
    """The command on a port that was free; gunicorn is told by its environment instead."""
    if "gunicorn" in command:
        return command
    if re.search(r"examples/(chat|flask_app)\.py$", command):
        return f"{command} {port}"
    return f"{command} --port {port}"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_readme_starts_a_server_that_echoes(command: str, tmp_path: Path):
    port = free_port()
    with prepared(command, tmp_path) as (rest, env):
        env["GUNICORN_CMD_ARGS"] = gunicorn_arguments(port)
        with Program(with_port(rest, port), env) as program:
            program.wait_for_answer(f"http://127.0.0.1:{port}/")
            if "demo" in command:
                assert program.interrupt() == 0
            else:
                check_echo_or_join(command, port)
    assert "Traceback" not in program.output, program.output


def check_echo_or_join(command: str, port: int) -> None:
    """The chat answers nobody who has not joined; its own test speaks to it."""
    if "chat" not in command:
        check_echo(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("source", SERVERS, ids=first_line)
def test_server_of_the_readme_echoes(source: str, tmp_path: Path):
    port = free_port()
    script = tmp_path / "program.py"
    script.write_text(source.replace("5000", str(port)), encoding="utf-8")
    with Program([sys.executable, str(script)], cwd=tmp_path) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        check_echo(f"http://127.0.0.1:{port}/")
    assert "Traceback" not in program.output, program.output


def check_socketio_echo(url: str) -> None:
    """A message to a server of Socket.IO and back, by each transport; and that it is this package which answers."""
    for transport in ("polling", "websocket"):
        with socketio.SimpleClient() as client:
            client.connect(url, transports=[transport])
            client.emit("message", f"by {transport}, ä€")
            assert client.receive(timeout=30) == ["message", f"by {transport}, ä€"]
            assert client.transport == transport
    # The other engineio takes such a request for one by polling.
    refused = requests.get(f"{url}socket.io/", params={"EIO": "4"}, timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (400, 0)


@pytest.mark.parametrize("source", SOCKET_IO_SERVERS, ids=first_line)
def test_socket_io_server_of_the_readme_echoes(source: str, tmp_path: Path):
    port = free_port()
    (tmp_path / "app.py").write_text(source.replace("5000", str(port)), encoding="utf-8")
    with Program([sys.executable, "app.py"], cwd=tmp_path) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        check_socketio_echo(f"http://127.0.0.1:{port}/")
    assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize("command", SOCKET_IO_COMMANDS)
def test_command_of_the_readme_runs_a_socket_io_server_without_the_line(command: str, tmp_path: Path):
    port = free_port()
    line, rest = SOCKET_IO_SERVERS[0].split("\n", 1)
    assert line == "import engineio_green; engineio_green.install_as_engineio()"
    (tmp_path / "app.py").write_text(rest.replace("5000", str(port)), encoding="utf-8")
    shown = with_port(command, port) if "flask run" in command else command
    with Program(shown, {"GUNICORN_CMD_ARGS": gunicorn_arguments(port)}, cwd=tmp_path) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        check_socketio_echo(f"http://127.0.0.1:{port}/")
    assert "Traceback" not in program.output, program.output


def test_socket_io_example_of_the_readme_is_got_and_started():
    install, _, start = SOCKET_IO_EXAMPLE.partition(" && ")
    install_client(print, ROOT / "examples", "socket.io-client")  # one test process at a time
    with Program(f"{install} --offline") as program:
        assert program.wait() == 0, program.output
    port = free_port()
    with Program(with_port(start, port)) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        page = requests.get(f"http://127.0.0.1:{port}/", timeout=10)
        assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
        with socketio.SimpleClient() as client:
            client.connect(f"http://127.0.0.1:{port}/")
            assert client.call("join", {"name": "Ann", "room": "tea"}, timeout=30)["names"] == ["Ann"]
    assert "Traceback" not in program.output, program.output


def test_the_line_of_the_socket_io_section_stands_in_uwsgi_ini():
    assert "`uwsgi.ini` has the line" in section("Socket.IO")
    assert re.search(r"^#?env = ENGINEIO_GREEN_AS_ENGINEIO=1$", (ROOT / "uwsgi.ini").read_text(), re.MULTILINE)


@pytest.mark.parametrize("source", CLIENTS, ids=first_line)
def test_client_of_the_readme_talks_to_the_first_server(source: str, tmp_path: Path):
    port = free_port()
    server, client = (text.replace("5000", str(port)) for text in (SERVERS[0], source))
    with Program([sys.executable, "-c", server], cwd=tmp_path) as program:
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        with Program([sys.executable, "-c", client], cwd=tmp_path) as talk:
            assert talk.wait() == 0, talk.output
        assert talk.output == "received: hello\n"


@pytest.mark.parametrize("source", SNIPPETS, ids=first_line)
def test_snippet_of_the_readme_runs(source: str, tmp_path: Path):
    with Program([sys.executable, "-c", source], cwd=tmp_path) as program:
        assert program.wait() == 0, program.output
    assert program.output == ""


def test_the_benchmark_of_the_readme_measures(tmp_path: Path):
    assert f"{BENCHMARK}\n" in blocks("sh")
    with Program(f"{BENCHMARK} --quick --only echo-100,gevent --repeats 1 --out {tmp_path}") as program:
        assert program.wait() == 0, program.output
    assert {"results.json", "report.md", "chart.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_first_two_commands_are_the_demo_and_the_tests():
    demo, tests = blocks("sh")[:2]
    assert demo.strip() == 'pip install -e ".[gevent]" && python -m engineio_green demo'
    assert tests.strip() == FULL_TEST_RUN


def test_ci_runs_exactly_the_test_command_of_this_file():
    # This test is part of that very run, so it only asks the script's own function which command it would take.
    ask = "fail() { exit 1; }; source <(sed -n '/^test_command() {/,/^}/p' .ci/run); test_command"
    answer = subprocess.run(["bash", "-euc", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout == f"{FULL_TEST_RUN}\n"


def test_every_command_is_one_line_alone_in_its_block():
    for block in blocks("sh"):
        assert len(block.splitlines()) == 1, block
        assert shlex.split(block)


def test_table_of_options_names_every_addition_and_nothing_else():
    named = set(re.findall(r"^\| `(\w+)` \|", section("Options"), re.MULTILINE))
    assert named == OPTION_NAMES - DOCUMENTED_OPTIONS


def test_every_file_that_the_readme_names_exists():
    for path in re.findall(r"\]\((\w[\w./]*)\)|`((?:examples|tests|\.ci)/[\w./]*)`", README):
        assert (ROOT / "".join(path)).exists(), path


def test_every_extra_is_named_as_the_oldest_pip_in_use_looks_for_it():
    """Newer tools write an extra's name with hyphens, and a pip that does not read underscores as such would install nothing."""
    from importlib.metadata import metadata

    provided = metadata("engineio_green").get_all("Provides-Extra")
    named = {name for found in re.findall(r"engineio_green\[([\w,-]+)\]", README) for name in found.split(",")}
    assert named
    assert named <= set(provided)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in provided)
