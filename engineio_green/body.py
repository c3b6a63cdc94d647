"""Reading the body of a request from a WSGI server.

Owns how much is read and what counts as cut short. Must not know what a body holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def read_body(environ: Mapping[str, Any], length: int | None, limit: int, logger: Any) -> bytes | None:
    """Return the body: *length* bytes, or of a chunked one no more than one byte over *limit*. ``None``: cut short.

    Blocks the request's own thread or greenlet.
    """
    source = environ["wsgi.input"]
    wanted = limit + 1 if length is None else length
    parts = []
    try:
        while wanted > 0:
            part = source.read(wanted)
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
    except Exception as exc:  # each server has its own errors for a client that goes away or sends nonsense
        logger.debug("a body could not be read: %r", exc)
        return None
    return None if length is not None and wanted else b"".join(parts)
