"""A program of the user's, for test_patched.py: `patched_program.py MODEL TRANSPORT URL`. Says "all well" at the end."""

import sys
import time

MODEL, TRANSPORT, URL = sys.argv[1:]
if MODEL == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif MODEL == "eventlet":
    import warnings

    warnings.simplefilter("ignore")
    import eventlet

    eventlet.monkey_patch()

import threading  # noqa: E402

import engineio_green  # noqa: E402


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def talk() -> None:
    client = engineio_green.Client()
    messages, reasons = [], []
    client.on("disconnect", reasons.append)

    @client.on("message")
    def on_message(data):
        messages.append(data)
        if data == "block":
            wait_for(lambda: "after" in messages)

    client.connect(URL, transports=None if TRANSPORT in ("upgrade", "many") else [TRANSPORT])
    for number in range(200):
        client.send(f"{number}")
    wait_for(lambda: len(messages) == 200)
    assert messages == [f"{number}" for number in range(200)]
    client.send("block")
    client.send("after")
    wait_for(lambda: len(messages) == 202)
    client.send("x" * 900_000)
    wait_for(lambda: len(messages) == 203)
    client.disconnect()
    assert reasons == ["client disconnect"]
    client.connect(URL, transports=["websocket"])
    client.send({"cmd": "disconnect"})
    client.wait()
    assert reasons == ["client disconnect", "server disconnect"]


ticks = []


def tick() -> None:
    while True:
        ticks.append(1)
        time.sleep(0.005)


threading.Thread(target=tick, daemon=True).start()
talkers = [threading.Thread(target=talk) for _ in range(20 if TRANSPORT == "many" else 1)]
for talker in talkers:
    talker.start()
for talker in talkers:
    talker.join()
# Somebody else ran all the time.
assert len(ticks) > 10
wait_for(lambda: not [thread.name for thread in threading.enumerate() if thread.name.startswith("engineio-client")])
print("all well")
