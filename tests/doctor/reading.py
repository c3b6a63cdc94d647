"""Runs the doctor and reads what it has found."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from engineio_green.__main__ import main

Found = dict[str, list[tuple[str, str]]]
Examine = Callable[..., tuple[int, Found]]


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Examine:
    """The doctor's exit code, and by examination what it has found: level, and text with remedy."""

    def run(target: str, *options: str) -> tuple[int, Found]:
        code = main(["doctor", target, "--json", "--insecure", *options])
        report = json.loads(capsys.readouterr().out)
        found: Found = {}
        for finding in report["findings"]:
            found.setdefault(finding["check"], []).append((finding["level"], f"{finding['text']} {finding['remedy']}"))
        if "error" in report:
            found["error"] = [("", report["error"])]
        assert code == report["exit_code"]
        return code, found

    return run


def problems(found: Found) -> dict[str, str]:
    """What has to change, by examination."""
    fixes = {check: [text for level, text in findings if level == "FIX"] for check, findings in found.items()}
    return {check: " ".join(texts) for check, texts in fixes.items() if texts}
