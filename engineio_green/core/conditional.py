"""Conditional requests and byte ranges: what a request's headers ask of one version of a file.

Owns the comparison of validators and the arithmetic of ranges. It must not know of files, clocks or servers: versions come
as numbers, headers as a mapping with lower-case names.

Rules from: RFC 9110 sections 8.8 (validators), 13 (preconditions) and 14 (ranges).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Final

# All the request headers that this module reads.
REQUEST_HEADERS: Final = ("if-match", "if-unmodified-since", "if-none-match", "if-modified-since", "if-range", "range")

_LONGEST_FIELD = 128  # characters of a date or a range that are worth parsing
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_BYTE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a representation: a strong entity tag, when it was made (seconds since the epoch), size in bytes."""

    entity_tag: str
    modified: int
    last_modified: str | None
    size: int

    @classmethod
    def of(cls, modified_ns: int, size: int, now: float) -> Version:
        """Derive the validators from a modification time in nanoseconds and a size in bytes."""
        modified = modified_ns // 1_000_000_000
        try:  # never a date in the future (section 8.8.2.1)
            last_modified = formatdate(min(modified, int(now)), usegmt=True)
        except (ValueError, OverflowError, OSError):  # a year that no calendar has
            last_modified = None
        return cls(f'"{modified_ns:x}-{size:x}"', modified, last_modified, size)

    def headers(self) -> list[tuple[str, str]]:
        """Return the response headers that let a client ask conditionally next time."""
        dated = [("Last-Modified", self.last_modified)] if self.last_modified is not None else []
        return [("ETag", self.entity_tag), *dated]


def failed_precondition(headers: Mapping[str, str], version: Version) -> HTTPStatus | None:
    """Return 412 or, for a client that holds this version already, 304; `None` when the request goes on.

    For GET and HEAD, in the order of section 13.2.2.
    """
    tags = headers.get("if-match")
    if tags is not None:
        if not _names(tags, version.entity_tag, weakly=False):
            return HTTPStatus.PRECONDITION_FAILED
    elif version.modified > _date(headers.get("if-unmodified-since"), version.modified):
        return HTTPStatus.PRECONDITION_FAILED
    tags = headers.get("if-none-match")
    if tags is not None:
        if _names(tags, version.entity_tag, weakly=True):
            return HTTPStatus.NOT_MODIFIED
    elif version.modified <= _date(headers.get("if-modified-since"), version.modified - 1):
        return HTTPStatus.NOT_MODIFIED
    return None


def requested_range(headers: Mapping[str, str], version: Version) -> range | None:
    """Return the bytes that a GET asks for, clamped to the size; empty where they lie outside (416).

    `None` where the whole is the answer: no range, another unit, several ranges, nonsense (section 14.2), or an `If-Range`
    that names another version: a part is of use only to a client that holds the rest of this one (section 13.1.5).
    """
    condition = headers.get("if-range")
    if condition is not None and condition.strip() not in (version.entity_tag, version.last_modified):
        return None
    field = headers.get("range", "")
    match = _BYTE_RANGE.fullmatch(field) if len(field) <= _LONGEST_FIELD else None
    if match is None:
        return None
    first, last = match.groups()
    if first:
        if last and int(last) < int(first):
            return None
        stop = min(int(last) + 1, version.size) if last else version.size
        return range(int(first), stop) if int(first) < stop else range(0)
    if not last or (version.size == 0 and int(last)):  # a suffix of nothing can be satisfied, but has no Content-Range
        return None
    return range(max(version.size - int(last), 0), version.size)


def _names(tags: str, entity_tag: str, weakly: bool) -> bool:
    """Whether a list of entity tags names this one; a weak tag of the client counts only where `weakly` is allowed."""
    if tags.strip() == "*":
        return True
    return any(tag == entity_tag or (weakly and tag == f"W/{entity_tag}") for tag in _ENTITY_TAG.findall(tags))


def _date(field: str | None, otherwise: int) -> int:
    """Return an HTTP date as seconds since the epoch, or `otherwise` where there is none that can be read."""
    if field is None or len(field) > _LONGEST_FIELD:
        return otherwise
    try:
        when = parsedate_to_datetime(field)
        return int((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return otherwise
