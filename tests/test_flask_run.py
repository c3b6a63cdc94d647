"""`flask run` with its reloader and its debugger around the server: both look into what an application raises and returns."""

from __future__ import annotations

import re
import sys

from programs import ROOT, Program, check_echo, free_port


def test_flask_run_with_debugger_and_reloader_serves_both_transports_without_a_complaint():
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", "flask_app", "run", "--debug", "--port", str(port)]
    with Program(command, cwd=ROOT / "examples") as program:
        program.wait_for_output("Debugger is active")
        program.wait_for_answer(f"http://127.0.0.1:{port}/")
        check_echo(f"http://127.0.0.1:{port}/")
        program.wait_for_output(r"transport=websocket[^\n]* 101 ")
    complaints = [line for line in program.output.splitlines() if re.search(r"Traceback|Error|Bad file| 500 ", line)]
    assert complaints == []
