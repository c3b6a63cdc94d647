"""Ctrl-C in a program that has a client: the goodbye goes out, then the program ends as it would have."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from engineio_green import Client

from .conftest import url_of

PROGRAM = """
import signal, sys, threading
{patch}
import engineio_green
client = engineio_green.Client(handle_sigint={handle})
client.on("disconnect", lambda reason: print(reason, flush=True))
try:
    client.connect({url!r}, transports=[{transport!r}])
    client.send("hello")
    print(client.sid, flush=True)
    client.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupted(server, transport, handle, patch="") -> tuple[str, list[str]]:
    program = PROGRAM.format(url=url_of(server), transport=transport, handle=handle, patch=patch)
    with subprocess.Popen([sys.executable, "-c", program], stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout
        assert child.stderr
        sid = child.stdout.readline().strip()
        assert sid, child.stderr.read()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert err == "" or ("eventlet" in patch and "Traceback" not in err)  # eventlet warns that it is deprecated
    return sid, out.split("\n")[:-1]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_client_says_goodbye_and_the_program_is_interrupted_as_ever(server, transport):
    sid, said = interrupted(server, transport, True)
    assert server.wait_disconnected(sid) == "client disconnect"
    assert server.received(sid) == ["str:hello"]
    assert said == ["client disconnect", "interrupted"]


def test_client_that_shall_not_handle_it_leaves_it_to_the_program(server):
    sid, said = interrupted(server, "websocket", False)
    assert said == ["interrupted"]
    assert server.wait_disconnected(sid) == "transport close"


PATCHES = pytest.mark.parametrize(
    "patch",
    ["from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()"],
    ids=["gevent", "eventlet"],
)


@PATCHES
def test_patched_program_ends_as_well(server, patch):
    sid, said = interrupted(server, "websocket", True, patch)
    assert said == ["client disconnect", "interrupted"]
    assert server.wait_disconnected(sid) == "client disconnect"


UNCAUGHT = """
{patch}
import engineio_green
client = engineio_green.Client()
client.connect({url!r}, transports=["websocket"])
for turn in range(2):
    try:
        print(client.sid, flush=True)
        client.wait()
    except KeyboardInterrupt:
        if turn:
            raise
        client = engineio_green.Client()
        client.connect({url!r}, transports=["websocket"])
"""


@PATCHES
def test_interrupt_that_nobody_catches_ends_a_patched_program_and_a_second_client_says_goodbye_too(server, patch):
    program = UNCAUGHT.format(url=url_of(server), patch=patch)
    with subprocess.Popen([sys.executable, "-c", program], stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout
        for _ in range(2):
            sid = child.stdout.readline().strip()
            child.send_signal(signal.SIGINT)
            assert server.wait_disconnected(sid) == "client disconnect"
        _, err = child.communicate(timeout=20)
    assert child.returncode == -signal.SIGINT
    assert (err.count("Traceback"), err.count("Exception ignored"), err.count("failed with")) == (1, 0, 0), err


def test_no_signal_is_handled_for_a_client_made_in_another_thread_or_without_asking():
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=Client)
    thread.start()
    thread.join()
    Client(handle_sigint=False)
    assert signal.getsignal(signal.SIGINT) is before
