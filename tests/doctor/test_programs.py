"""`doctor MODULE:APP`: what the process is like when the application has been imported, and what its clients get."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from programs import Program

from engineio_green.doctor import program

from .patching import SOURCES
from .reading import Examine, examine, problems

__all__ = ["examine"]  # a fixture


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, source in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _no_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is examined over the wire, where only the process matters."""
    monkeypatch.setattr("engineio_green.doctor.command._examine_url", lambda arguments, url, report, **_: report.finish())


VISITED = {"handshake", "processes", "polling", "websocket", "upgrade", "bodies"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("threads", "nothing is monkey patched"),
        ("gevent_first", "gevent has patched all that matters"),
        ("eventlet_first", "eventlet has patched all that matters"),
    ],
)
def test_all_is_well_with_an_application_that_is_set_up_as_it_should_be(name: str, words: str, examine: Examine):
    code, found = examine(f"{name}:app", "--quick")
    assert (code, problems(found)) == (0, {})
    assert set(found) == VISITED | {"server", "patching"}
    ((level, text),) = found["patching"]
    assert level == "ok"
    assert words in text


@pytest.mark.usefixtures("_no_visit")
def test_greenlets_without_patching_are_noted(examine: Examine):
    code, found = examine("gevent_unpatched:app", "--quick")
    ((level, text),) = found["patching"]
    assert (code, level) == (0, "note")
    assert "gunicorn -k gevent does that itself" in text


@pytest.mark.usefixtures("_no_visit")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gevent_late", "patched too late, something had been imported before: keeper.create_connection is the old socket."),
        ("eventlet_late", "keeper.sleep is the old time.sleep"),
        ("gevent_partial", "only a part of the standard library: socket, but not ssl, select, time, threading"),
        ("eventlet_partial", "but not thread"),
    ],
)
def test_wrong_patching_is_named(name: str, words: str, examine: Examine):
    code, found = examine(f"{name}:app")
    assert (code, set(problems(found))) == (1, {"patching"})
    assert words in problems(found)["patching"]


@pytest.mark.parametrize(
    ("name", "words", "error"),
    [
        ("gevent_after_thread", "Threads were started before gevent patched the standard library: poller", "un-acquired lock"),
        ("both", "gevent and eventlet have both patched", "un-acquired lock"),
        ("patched_for_threads", "", "use async_mode='gevent'"),
    ],
)
def test_patching_is_judged_also_when_the_application_can_not_be_loaded(name: str, words: str, error: str, examine: Examine):
    code, found = examine(f"{name}:app")
    assert code == 2
    assert words in problems(found).get("patching", "")
    assert error in found["error"][0][1]


def test_the_path_is_the_one_where_the_application_has_it(examine: Examine):
    code, found = examine("elsewhere:app", "--quick")
    assert (code, problems(found)) == (0, {})
    assert set(found) >= VISITED


@pytest.mark.usefixtures("_no_visit")
def test_an_application_may_come_from_a_factory(examine: Examine):
    assert examine("factory:create()", "--quick")[0] == 0


def test_origins_of_the_real_site_do_not_matter_here(examine: Examine):
    code, found = examine("restricted:app", "--quick")
    assert (code, problems(found)) == (0, {})
    assert "pages of https://shop.example may talk to it" in found["server"][0][1]


def test_an_application_without_a_server_is_named(examine: Examine):
    code, found = examine("no_server:app")
    assert (code, set(problems(found))) == (1, {"server"})


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("broken:app", "No module named 'a_module_that_nobody_has'"),
        ("threads:nothing", "has no attribute 'nothing'"),
        ("missing:app", "No module named 'missing'"),
        ("exits:app", "ended: no database"),
    ],
)
def test_what_can_not_be_loaded_is_a_sentence(target: str, words: str, examine: Examine):
    code, found = examine(target)
    assert code == 2
    assert words in found["error"][0][1]


def test_a_module_that_serves_when_it_is_imported_is_a_sentence(examine: Examine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(program, "LOAD_PATIENCE", 1.0)
    code, found = examine("serves:app")
    assert code == 2
    assert '`if __name__ == "__main__":`' in found["error"][0][1]


@pytest.mark.parametrize("target", ["localhost:5000", "threads", "threads:", "a b:app"])
def test_what_is_neither_a_url_nor_an_application_is_a_sentence(target: str, capsys: pytest.CaptureFixture[str]):
    from engineio_green.__main__ import main

    assert main(["doctor", target]) == 2
    assert "is neither a URL (http://host:port) nor an application (module:app)" in capsys.readouterr().err


def test_a_missing_web_server_is_noted_and_the_rest_is_still_judged(tmp_path: Path):
    (tmp_path / "werkzeug.py").write_text("raise ImportError\n")
    hide = "import importlib.util; old = importlib.util.find_spec\n"
    hide += "importlib.util.find_spec = lambda name, *a: None if name == 'werkzeug' else old(name, *a)\n"
    (tmp_path / "hidden.py").write_text(hide + SOURCES["threads"])
    with Program([sys.executable, "-m", "engineio_green", "doctor", "hidden:app"], cwd=tmp_path) as run:
        assert run.wait() == 0
    assert "pip install werkzeug" in run.output
    assert "nothing is monkey patched" in run.output


def test_the_missing_extra_is_named(tmp_path: Path):
    blocked = "import sys; sys.modules.update(websocket=None); "
    blocked += "from engineio_green.__main__ import main; sys.exit(main(['doctor', 'http://127.0.0.1:1']))"
    with Program([sys.executable, "-c", blocked]) as run:
        assert run.wait() == 2
    assert run.output.strip().endswith('pip install "engineio_green[client]"')
