"""A thousand clients in one process, for test_many.py: `many_program.py COUNT TRANSPORT URL`. Prints what it saw, as JSON."""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import engineio_green

COUNT, TRANSPORT, URL = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ROUNDS = 3


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def client_threads() -> dict[str, int]:
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("engineio-client")]
    return {name: names.count(name) for name in set(names)}


def wait_for(condition) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


engineio_green.Client(handle_sigint=False)
at_start = descriptors()
clients = [engineio_green.Client(handle_sigint=False, request_timeout=30) for _ in range(COUNT)]
received: dict[int, list[str]] = {number: [] for number in range(COUNT)}
reasons: list[str] = []
began = time.monotonic()
laps = {}


def connect(number: int) -> None:
    client = clients[number]
    client.on("message", received[number].append)
    client.on("disconnect", reasons.append)
    client.connect(URL, transports=None if TRANSPORT == "upgrade" else [TRANSPORT])


with ThreadPoolExecutor(16) as pool:
    list(pool.map(connect, range(COUNT)))
wait_for(lambda: all(client.transport() == "websocket" for client in clients))
laps["connected"] = time.monotonic() - began
wait_for(lambda: set(client_threads()) == {"engineio-client-reader", "engineio-client-watch"})
threads = client_threads()
for turn in range(ROUNDS):
    for number, client in enumerate(clients):
        client.send(f"{number} {turn}")
wait_for(lambda: all(len(messages) == ROUNDS for messages in received.values()))
assert all(messages == [f"{number} {turn}" for turn in range(ROUNDS)] for number, messages in received.items())
laps["echoed"] = time.monotonic() - began
with ThreadPoolExecutor(16) as pool:
    list(pool.map(lambda client: client.disconnect(), clients))
assert reasons == ["client disconnect"] * COUNT
wait_for(lambda: not client_threads() and descriptors() <= at_start + 3)
laps["gone"] = time.monotonic() - began
print(json.dumps({"threads": threads, "laps": laps, "processor": time.process_time()}))
