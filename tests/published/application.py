"""One published application that runs as its documentation says, with `python -m engineio_green run` in front.

Owns its start, its address, and what its output must and must not have. Knows nothing of what it shows.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from programs import Program, free_port

from .environments import Environment

WITNESS = Path(__file__).parent / "witness"
APPLICATIONS = Path(__file__).parent / "applications"
COMPLAINTS = re.compile(r"^.*(Traceback|Error\b|\bERROR\b|CRITICAL|has failed).*$", re.MULTILINE)
OURS = "witness: socketio.server has its engineio from engineio_green\n"
OTHERS = re.compile(r"witness: .* from /.*")


class Application(Program):
    """A program in *folder*, which is its own. In *command*, `{port}` stands for the port; it is also in the environment."""

    def __init__(self, environment: Environment, command: list[str], folder: Path, **variables: str) -> None:
        port = str(free_port())
        self.url = f"http://127.0.0.1:{port}/"
        path = os.pathsep.join([str(environment.python.parent), os.environ["PATH"]])
        env = {"PATH": path, "PORT": port, "PYTHONPATH": str(WITNESS), **variables}
        # Some behave otherwise when they know that they are tested.
        run = ["env", "-u", "PYTEST_CURRENT_TEST", str(environment.python), "-m", "engineio_green", "run"]
        super().__init__([*run, *(word.format(port=port) for word in command)], env=env, cwd=folder)

    def __enter__(self) -> Application:
        super().__enter__()
        try:
            self.wait_for_answer(self.url, timeout=60)  # byte code is made at the first start
        except BaseException:
            super().__exit__()
            raise
        return self

    def check_output(self) -> None:
        """It has used this package, and has nothing to complain about."""
        assert OURS in self.output, self.output
        assert not OTHERS.search(self.output), self.output
        found = COMPLAINTS.search(self.output)
        assert found is None, f"{found[0]!r} in:\n{self.output}"


def copy_of(name: str, folder: Path) -> str:
    """Put one of the applications of these tests where a user would have it, and return its name."""
    shutil.copy(APPLICATIONS / name, folder)
    return name
