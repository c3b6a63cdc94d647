"""Static files: which file a URL means, how it is opened, and the HTTP answer that carries it.

Owns the mapping rules of the `static_files` argument and the containment of directory rules. It must not know of sessions,
sockets or the Engine.IO path; `serve_wsgi` at the end is the only part that has heard of WSGI. Needs a POSIX system (`openat`).

Rules from: the compatible API's documentation (mapping, default file, content types), RFC 9110 (methods; conditional
requests and ranges through `core/conditional.py`).
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from engineio_green.core.conditional import REQUEST_HEADERS, Version, failed_precondition, requested_range

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Target = str | os.PathLike[str] | Mapping[str, Any]

CONTENT_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "json": "application/json",
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "txt": "text/plain",
}
BLOCK_SIZE: Final = 64 * 1024

_LONGEST_PATH = 4096  # characters; what no file system opens in one go is not worth walking either
_DRIVE = re.compile(r"[A-Za-z]:")
_HEADER_VALUE = re.compile(r"[!-~]+(?: +[!-~]+)*")

# O_NONBLOCK: a FIFO that takes a file's place between the look and the opening must not hold the worker.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# O_PATH, where there is one, walks through directories that may be searched but not listed.
_WALK = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
# "There is no such file for you". Anything else, such as no descriptors left, is the server's trouble and is raised.
_ABSENT = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG,
    errno.EINVAL, errno.ENXIO, errno.ENODEV,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rule:
    filename: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class StaticFile:
    """What a URL is mapped to; whether it exists is known only once `open` has tried.

    `root` is the directory of the rule that matched and `parts` the way down from it, for a file below a directory rule;
    `root` is `None` for a rule that names one file.
    """

    filename: str
    content_type: str
    root: str | None = None
    parts: tuple[str, ...] = ()

    def open(self) -> io.FileIO | None:
        """Return the opened regular file; `None` if there is none that may be served.

        Any thread may call it. Raises `OSError` only for trouble of the server itself (descriptors, memory, disk).
        """
        try:
            if self.root is None:
                return _open_regular(self.filename)
            return _open_inside(self.root, self.parts)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        except ValueError:  # a name that the file system's encoding can't express
            return None


class FileBlocks(Iterator[bytes]):
    """A span of an opened file as an iterator of blocks; owns the file and closes it at the end, on failure or on `close()`.

    Parameters: the opened file, the first byte's offset, the number of bytes, the largest block in bytes.
    One thread at a time. Raises `OSError` when the file got shorter meanwhile: the length is promised already, so that only
    a broken connection tells the client the truth.
    """

    __slots__ = ("_block_size", "_left", "_raw", "length", "offset")

    def __init__(self, raw: io.FileIO, offset: int, length: int, block_size: int = BLOCK_SIZE) -> None:
        self.offset = offset
        self.length = length
        self._raw = raw
        self._left = length
        self._block_size = block_size
        raw.seek(offset)

    def __next__(self) -> bytes:
        if not self._left or self._raw.closed:
            self.close()
            raise StopIteration
        try:
            block = self._raw.read(min(self._block_size, self._left))
            if not block:
                raise OSError(errno.EIO, "the file got shorter while it was being sent")
        except BaseException:
            self.close()
            raise
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Close the file; may be called again."""
        self._raw.close()


@dataclass(slots=True)
class StaticResponse:
    """An answer for any shell: status, headers, and a body that is either short or a span of an opened file.

    Whoever takes one either iterates a `FileBlocks` body to its end or calls `close()`.
    """

    status: HTTPStatus
    headers: list[tuple[str, str]]
    body: FileBlocks | bytes = b""

    @property
    def status_line(self) -> str:
        """Status as WSGI wants it: `206 Partial Content`."""
        return f"{self.status.value} {self.status.phrase}"

    def close(self) -> None:
        """Close the body's file, if it has one."""
        if isinstance(self.body, FileBlocks):
            self.body.close()


class StaticFiles:
    """The mapping rules of the `static_files` argument (compatible API).

    `mapping`: URL -> file name, directory name or `{'filename': ..., 'content_type': ...}`; the key `''` sets the file that
    a URL with a final slash stands for (`index.html`). Relative names are relative to the current directory at the time of
    the request. The mapping is copied. Raises `TypeError` or `ValueError` that names the wrong key. Any thread may call the
    methods.
    """

    def __init__(self, mapping: Mapping[str, Target]) -> None:
        if not isinstance(mapping, Mapping):
            raise TypeError(f"static_files must map URLs to files, not be a {type(mapping).__name__}")
        rules = {_checked_url(url): _checked_rule(url, target) for url, target in mapping.items()}
        default = rules.pop("", _Rule("index.html", None))
        below = _split("/" + os.path.normpath(default.filename))
        if not below or default.filename.endswith("/"):
            raise ValueError(f"static_files['']: the default file {default.filename!r} must be a name below the directory")
        self._default_parts = below
        self._default_type = default.content_type
        self._rules = rules
        self._deepest = max((url.count("/") for url in rules), default=-1)

    def find(self, path: str) -> StaticFile | None:
        """Return what the decoded URL path is mapped to, or `None`: then the request is another application's.

        An exact rule wins; else the nearest rule above the path decides, and is taken for a directory. The only look at the
        disk is whether an exact rule for a URL with a final slash names a directory.
        """
        parts = _split(path)
        if parts is None:
            return None
        rule = self._rules.get(path)
        if rule is not None:
            if rule.filename.endswith("/") or (path.endswith("/") and os.path.isdir(rule.filename)):
                return self._below(rule, ("",))
            return StaticFile(rule.filename, rule.content_type or content_type_of(rule.filename))
        for depth in range(min(len(parts) - 1, self._deepest), -1, -1):
            above = "".join("/" + part for part in parts[:depth])
            rule = self._rules.get(above + "/") or self._rules.get(above)
            if rule is not None:
                return self._below(rule, parts[depth:])
        return None

    def respond(self, method: str, path: str, headers: Mapping[str, str]) -> StaticResponse | None:
        """Return the answer to a request, or `None` when no rule matches or the rule's file is not there.

        `path` is decoded, `headers` has lower-case names. Opens the file; the answer's body owns it.
        """
        found = self.find(path)
        raw = found.open() if found is not None else None
        if found is None or raw is None:
            return None
        try:
            response = _answer(method, headers, raw, found.content_type)
        except BaseException:
            raw.close()
            raise
        if isinstance(response.body, bytes):
            raw.close()
        return response

    def _below(self, rule: _Rule, parts: tuple[str, ...]) -> StaticFile:
        content_type = rule.content_type
        if not parts[-1]:
            parts = parts[:-1] + self._default_parts
            content_type = self._default_type or content_type
        filename = os.path.join(rule.filename, *parts)
        return StaticFile(filename, content_type or content_type_of(filename), rule.filename, parts)


def content_type_of(filename: str) -> str:
    """Return the content type that the documentation gives for a file name's extension."""
    _, dot, extension = os.path.basename(filename).rpartition(".")
    return CONTENT_TYPES.get(extension.lower(), "application/octet-stream") if dot else "application/octet-stream"


# -- the mapping, checked once ------------------------------------------------------------------------------------------


def _split(path: str) -> tuple[str, ...] | None:
    """`/a/b/` -> `('a', 'b', '')`; `None` for a path that no rule and no file should be reached by.

    The path was decoded once already: `%2e%2e` in it is a literal name.
    """
    if not path.startswith("/") or len(path) > _LONGEST_PATH or "\0" in path or "\\" in path:
        return None
    parts = tuple(path[1:].split("/"))
    if "" in parts[:-1] or "." in parts or ".." in parts or any(_DRIVE.match(part) for part in parts):
        return None
    return parts


def _checked_url(url: object) -> str:
    if not isinstance(url, str):
        raise TypeError(f"static_files[{url!r}]: a URL must be a str, not {type(url).__name__}")
    if url and _split(url) is None:
        raise ValueError(f"static_files[{url!r}]: a URL must start with '/' and hold no '//', '.', '..', backslash, NUL or drive")
    return url


def _checked_rule(url: str, target: object) -> _Rule:
    where = f"static_files[{url!r}]"
    if not isinstance(target, Mapping):
        return _Rule(_checked_filename(where, target), None)
    unknown = set(target) - {"filename", "content_type"}
    if unknown:
        raise ValueError(f"{where}: unknown key {sorted(map(repr, unknown))[0]}; there are 'filename' and 'content_type'")
    if "filename" not in target:
        raise ValueError(f"{where}: the key 'filename' is missing")
    content_type = target.get("content_type")
    if content_type is not None and not isinstance(content_type, str):
        raise TypeError(f"{where}: 'content_type' must be a str, not {type(content_type).__name__}")
    if content_type is not None and not _HEADER_VALUE.fullmatch(content_type):
        raise ValueError(f"{where}: 'content_type' {content_type!r} can't stand in a header")
    return _Rule(_checked_filename(where, target["filename"]), content_type)


def _checked_filename(where: str, filename: object) -> str:
    name = os.fspath(filename) if isinstance(filename, os.PathLike) else filename
    if not isinstance(name, str):
        raise TypeError(f"{where}: a file name must be a str or a path of str, not {type(name).__name__}")
    if not name or "\0" in name:
        raise ValueError(f"{where}: the file name {name!r} is empty or holds a NUL")
    return name


# -- opening, without ever leaving the root -----------------------------------------------------------------------------


def _open_inside(root: str, parts: tuple[str, ...]) -> io.FileIO:
    """Open a file below `root`. Symbolic links may lead anywhere inside; nothing but the root's own path may be outside.

    Each step of the walk refuses links, so that whoever swaps files meanwhile gains nothing. Where a link is met, its
    resolved path only says which way to walk instead, again from the root and again without following links.
    """
    try:
        return _walk(root, parts)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    real_root = os.path.realpath(root, strict=True)
    target = os.path.realpath(os.path.join(root, *parts), strict=True)
    fence = real_root.rstrip("/") + "/"
    if not target.startswith(fence):
        raise FileNotFoundError(errno.ENOENT, "a link leaves the directory", target)
    return _walk(real_root, tuple(target[len(fence) :].split("/")))


def _walk(root: str, parts: tuple[str, ...]) -> io.FileIO:
    """Open `parts` one below the other from `root`; `OSError(ELOOP)` at a symbolic link."""
    here = os.open(root, _WALK)
    try:
        for name in parts[:-1]:
            if stat.S_ISLNK(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, "symbolic link", name)
            above, here = here, os.open(name, _WALK | os.O_NOFOLLOW, dir_fd=here)
            os.close(above)
        return _open_regular(parts[-1], here)
    finally:
        os.close(here)


def _open_regular(name: str, directory: int | None = None) -> io.FileIO:
    """Open a regular file; below a `directory` without following a link, else wherever the configured name leads.

    The first look keeps us from opening devices and FIFOs, which has effects of its own; the second look, at what was
    really opened, is the one that counts.
    """
    inside = directory is not None
    mode = os.stat(name, dir_fd=directory, follow_symlinks=not inside).st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "symbolic link", name)
    if stat.S_ISREG(mode):
        descriptor = os.open(name, _READ | (os.O_NOFOLLOW if inside else 0), dir_fd=directory)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return io.FileIO(descriptor)
        os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "not a regular file", name)


# -- the answer ---------------------------------------------------------------------------------------------------------


def _answer(method: str, headers: Mapping[str, str], raw: io.FileIO, content_type: str) -> StaticResponse:
    if method not in ("GET", "HEAD"):
        return _refusal(method, HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD"))
    status_of_file = os.fstat(raw.fileno())
    version = Version.of(status_of_file.st_mtime_ns, status_of_file.st_size, time.time())
    failed = failed_precondition(headers, version)
    if failed is HTTPStatus.NOT_MODIFIED:
        return StaticResponse(failed, version.headers())
    if failed is not None:
        return _refusal(method, failed)
    status, span = HTTPStatus.OK, range(version.size)
    fields = [("Content-Type", content_type), ("X-Content-Type-Options", "nosniff"), ("Accept-Ranges", "bytes")]
    wanted = requested_range(headers, version) if method == "GET" else None
    if wanted is not None:
        if not wanted:
            outside = ("Content-Range", f"bytes */{version.size}")
            return _refusal(method, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, outside)
        status, span = HTTPStatus.PARTIAL_CONTENT, wanted
        fields.append(("Content-Range", f"bytes {wanted.start}-{wanted.stop - 1}/{version.size}"))
    fields += [("Content-Length", str(len(span))), *version.headers()]
    body = b"" if method == "HEAD" else FileBlocks(raw, span.start, len(span))
    return StaticResponse(status, fields, body)


def _refusal(method: str, status: HTTPStatus, *headers: tuple[str, str]) -> StaticResponse:
    body = f'{{"message":"{status.phrase}"}}'.encode()
    fields = [
        ("Content-Type", "application/json"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body))),
    ]
    return StaticResponse(status, [*fields, *headers], b"" if method == "HEAD" else body)


# -- WSGI ---------------------------------------------------------------------------------------------------------------


def serve_wsgi(files: StaticFiles, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes] | None:
    """Answer a WSGI request, or return `None`, with `start_response` untouched, when it is not for a static file.

    The WSGI server closes the iterable, as PEP 3333 demands of it.
    """
    try:  # PEP 3333: the path is bytes in the disguise of latin-1
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    given = ((name, environ.get("HTTP_" + name.upper().replace("-", "_"))) for name in REQUEST_HEADERS)
    headers = {name: value for name, value in given if value is not None}
    response = files.respond(environ["REQUEST_METHOD"], path, headers)
    if response is None:
        return None
    try:
        start_response(response.status_line, response.headers)
    except BaseException:
        response.close()
        raise
    return [response.body] if isinstance(response.body, bytes) else response.body
