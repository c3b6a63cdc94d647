"""Reads what a browser would make of a JSONP answer: one call of one callback with one string literal.

Owns the little of ECMAScript that it takes (section 12.9.4, String Literals, in its strictest edition: before 2019 no raw
U+2028 and U+2029), and what the HTML parser would cut off. Knows nothing of the package.
"""

from __future__ import annotations

import re

LINE_TERMINATORS = "\n\r\u2028\u2029"
_SINGLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_CALL = re.compile(r"___eio\[([0-9]*)\]\((.*)\);", re.DOTALL)


class NotJavaScript(Exception):
    """A browser would report a syntax error, or end the script early."""


def run_jsonp(script: str) -> tuple[str, str]:
    """Return the callback's index and the string that it would be called with."""
    if "</" in script:
        raise NotJavaScript("an inline script would end here")
    match = _CALL.fullmatch(script)
    if match is None:
        raise NotJavaScript("not a single call of a callback")
    return match[1], read_string_literal(match[2])


def read_string_literal(source: str) -> str:
    """Return the value of a string literal in double quotes."""
    if len(source) < 2 or source[0] != '"' or source[-1] != '"':
        raise NotJavaScript("not a string in double quotes")
    units: list[int] = []  # a string of JavaScript is UTF-16
    body, position = source[1:-1], 0
    while position < len(body):
        char = body[position]
        if char in LINE_TERMINATORS or char == '"':
            raise NotJavaScript(f"{char!r} ends the literal")
        position += 1
        text = char
        if char == "\\":
            text, position = _read_escape(body, position)
        units += memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H").tolist()
    encoded = b"".join(unit.to_bytes(2, "little") for unit in units)
    return encoded.decode("utf-16-le", "surrogatepass")


def _read_escape(body: str, position: int) -> tuple[str, int]:
    kind = body[position : position + 1]
    if not kind or (kind == "0" and body[position + 1 : position + 2].isdigit()) or kind in "123456789":
        raise NotJavaScript("a broken escape")
    if kind in "ux":
        digits = body[position + 1 : position + (5 if kind == "u" else 3)]
        if not re.fullmatch("[0-9a-fA-F]{4}" if kind == "u" else "[0-9a-fA-F]{2}", digits):
            raise NotJavaScript("a broken escape")
        return chr(int(digits, 16)), position + 1 + len(digits)
    if kind in LINE_TERMINATORS:
        return "", position + 1
    return _SINGLE.get(kind, kind), position + 1


def fill_form(payload: str) -> str:
    """Return the text that a JSONP client puts into the field ``d`` of its form.

    A form makes CRLF of line feeds, so they travel as a backslash and ``n``; so that these two characters stay apart from
    it, they get another backslash first.
    """
    return payload.replace("\\n", "\\\n").replace("\n", "\\n")
