"""How the programs here and the tests write to each other: one JSON object on each line, in which bytes survive.

Owns the form only. Imported by programs in other virtual environments, so it needs nothing but the standard library.
"""

import base64
import json
import sys
import threading

BYTES, TUPLE = "__bytes__", "__tuple__"
_writing = threading.Lock()


def encode(value):
    """Return *value* as one line."""
    return json.dumps(_pack(value))


def decode(line):
    """Return what :func:`encode` was given. Tuples that were no ``{TUPLE: [...]}`` are lists."""
    return json.loads(line, object_hook=_unpack)


def say(**fields):
    """Print a line, whole, from any thread."""
    with _writing:
        sys.stdout.write(encode(fields) + "\n")
        sys.stdout.flush()


def _pack(value):
    if isinstance(value, (bytes, bytearray)):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _pack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(item) for item in value]
    return value


def _unpack(value):
    if TUPLE in value:
        return tuple(value[TUPLE])
    return base64.b64decode(value[BYTES]) if BYTES in value else value
