"""Socket.IO clients in a process of their own, told on stdin what to do: `Client`, `AsyncClient` and the two simple ones.

Owns carrying out commands, and telling of what they return and of every event that comes. Knows nothing of what is tested. Runs
on the oldest releases too, so it uses only what all of them have. Start it with `python -m engineio_green run`.
"""

import asyncio
import sys
import threading
from importlib import metadata

import socketio
from json_lines import decode, say

RESERVED = ("connect", "connect_error", "disconnect")
clients = {}


def tell(name, namespace, event, arguments):
    say(client=name, namespace=namespace, event=event, data=arguments)


def make(name, kind, events, answering, options):
    """Make a client that tells of *events* in each namespace, and returns what it got from those in *answering*."""
    client = clients[name] = getattr(socketio, kind)(**options)
    for namespace, names in events.items():
        for event in (*RESERVED, *names):
            client.on(event, handler(client, name, namespace, event, event in answering), namespace=namespace)
    return client


def handler(client, name, namespace, event, answers):
    def handle(*arguments):
        tell(name, namespace, event, arguments)
        return ("answer", *arguments) if answers else None

    async def handle_soon(*arguments):
        return handle(*arguments)

    return handle_soon if isinstance(client, socketio.AsyncClient) else handle


def prepare(command):
    """Return the bound method and the options that *command* asks for."""
    name, options = command["client"], command["options"]
    if command["do"] == "new":
        return make, {"name": name, **options}
    if options.get("callback"):
        options["callback"] = lambda *arguments: tell(name, None, "callback", arguments)
    return getattr(clients[name], command["do"]), options


def answer(command, method, options):
    """Call it. What is no method is an attribute."""
    return method(*command["arguments"], **options) if callable(method) else method


def report(command, result):
    plain = isinstance(result, (str, bytes, int, float, list, tuple, dict, type(None)))
    say(answers=command["number"], result=result if plain else None)


def report_error(command, error):
    arguments = [argument if isinstance(argument, (str, dict, list)) else repr(argument) for argument in error.args]
    say(answers=command["number"], error=type(error).__name__, arguments=arguments)


def obey(command):
    try:
        method, options = prepare(command)
        report(command, answer(command, method, options))
    except Exception as error:
        report_error(command, error)


async def obey_soon(command):
    try:
        method, options = prepare(command)
        result = answer(command, method, options)
        report(command, await result if asyncio.iscoroutine(result) else result)
    except Exception as error:
        report_error(command, error)


def run():
    for line in sys.stdin:
        threading.Thread(target=obey, args=(decode(line),), daemon=True).start()


async def run_asyncio():
    loop = asyncio.get_running_loop()
    tasks = set()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = loop.create_task(obey_soon(decode(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    say(ready=metadata.version("python-socketio"))
    if sys.argv[1] == "asyncio":
        asyncio.run(run_asyncio())
    else:
        run()
