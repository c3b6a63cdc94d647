"""Run a Python program with this package in the place of engineio: a file, a module, or a console script such as flask.

Owns the choice of what to run. The program replaces this process, so signals and exit codes are its own; that the package
stands in for engineio, in it and in every Python that it starts in turn (a reloader, workers), is the work of `bootstrap/`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from engineio_green.socketio.install import VARIABLE

BOOTSTRAP = Path(__file__).parent / "bootstrap"
USAGE = "Name what to run: a file (app.py), -m and a module, or a console script (flask run)."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m engineio_green run`."""
    parser.usage = "python -m engineio_green run [-m MODULE | FILE | CONSOLE-SCRIPT] [ARGUMENT ...]"
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE", help="run a module, as python -m does")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="FILE|CONSOLE-SCRIPT", help="and the arguments for it")


def run(arguments: argparse.Namespace) -> int:  # noqa: RET503  # what replaces the process does not return
    """Replace this process by the program; returns only the exit code of a refusal."""
    try:
        command = command_for(arguments.module, arguments.program)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    os.execve(command[0], command, environment())


def environment() -> dict[str, str]:
    """Return this process's environment, with what lets every Python in it begin with `bootstrap/`."""
    before = os.environ.get("PYTHONPATH")
    path = [str(BOOTSTRAP), *([before] if before else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), VARIABLE: "1"}


def command_for(module: list[str] | None, program: list[str]) -> list[str]:
    """Return the program's command line, its path first. Raises ``ValueError`` with a sentence."""
    if module:
        return [*_python(), "-m", *module]
    if module is not None or not program:
        raise ValueError(USAGE)
    name, *rest = program
    script = None if os.sep in name or name.endswith(".py") else _find_script(name)
    if script is None:
        if not os.path.exists(name):
            raise ValueError(f"There is no file and no console script {name!r}. {USAGE}")
        return [*_python(), name, *rest]
    return [*_python(), script, *rest] if _is_python(script) else [script, *rest]


def _python() -> list[str]:
    """Return this interpreter, with the options that it was started with."""
    given = sys.orig_argv[1:]
    options = given[: given.index("-m")] if "-m" in given else []
    return [sys.executable, *options]


def _find_script(name: str) -> str | None:
    """Return a script's path: beside this interpreter first, as in a virtual environment that is not activated."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _is_python(script: str) -> bool:
    with open(script, "rb") as file:
        first = file.readline(300)
    return first.startswith(b"#!") and b"python" in first
