"""The `logger` option, which servers and clients share."""

from __future__ import annotations

import logging
from typing import Any


def short(sid: str) -> str:
    """Return what of a session id may stand in a log: who knows the whole of one can speak for its client."""
    return f"{sid[:4]}..."


def make_logger(logger: Any, name: str) -> Any:
    """Return the logger for the option's value: ``True`` logs all to stderr, ``False`` errors only, or one of the user's own.

    :param name: what the package's own logger is called.
    """
    if not isinstance(logger, bool):
        return logger or logging.getLogger(name)
    own = logging.getLogger(name)
    if logger:
        own.setLevel(logging.DEBUG)
        if not own.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
            own.addHandler(handler)
    return own
