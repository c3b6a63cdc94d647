"""Background tasks on every model: what `start_background_task` promises, and what each model's users expect of its object."""

from __future__ import annotations

import sys

import pytest
from programs import ROOT, Program

from .program import CASES, MODELS


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", sorted(CASES))
def test_background_tasks(model: str, case: str):
    with Program([sys.executable, "-m", "tasks.program", model, case], cwd=ROOT / "tests") as program:
        code = program.wait(60)
    assert (code, program.output.splitlines()[-1:]) == (0, ["passed"]), program.output
