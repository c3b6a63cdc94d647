"""The JSON module that packets use unless a server or client brings its own.

Owns one rule: what arrives must be JSON, so ``NaN`` and ``Infinity`` are refused like any other bad text.
"""

from __future__ import annotations

import json as _json
from typing import Any


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decode = _json.JSONDecoder(parse_constant=_refuse_constant).decode

dumps = _json.dumps


def loads(text: str | bytes | bytearray, **kwargs: Any) -> Any:
    """Decode JSON *text*. Keyword arguments are those of the standard library.

    Raises ``ValueError`` when the text is not JSON.
    """
    if kwargs or not isinstance(text, str):
        return _json.loads(text, **{"parse_constant": _refuse_constant, **kwargs})
    return _decode(text)
