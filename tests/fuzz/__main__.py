"""Fuzz a parser for so many seconds: `python -m tests.fuzz frames|payloads|requests [--seconds 60] [--corpus FOLDER]`.

Owns what counts as a fault: an exception that is not the parser's own, an answer that depends on how the bytes were cut, or
a broken promise of the answer. Needs the package atheris, which is in no extra because it exists for few interpreters.
A fault ends the run with its input in a file `crash-*` of the corpus folder; run again with that file to see it once more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("the fuzzer needs atheris: pip install atheris (CPython 3.11 to 3.13 on Linux)")

with atheris.instrument_imports(include=["engineio_green", "websockets"]):
    from engineio_green.core.request import Refusal, Request, client_address, decide
    from engineio_green.core.session import Session
    from engineio_green.core.settings import Deflate, make_settings
    from engineio_green.exceptions import PacketError
    from engineio_green.payload import decode_payload, encode_payload
    from engineio_green.websocket.handshake import deflate_factory, find_fault, negotiate_deflate
    from engineio_green.websocket.stream import Stream

LIMIT = 4096
SETTINGS = make_settings({"cors_allowed_origins": None, "jsonp": True, "trusted_proxies": "*"})
DEFLATE = deflate_factory(Deflate())
OFFER = {"HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate; client_max_window_bits"}


def fuzz_frames(data: bytes) -> None:
    """The first byte says whether to compress and where to cut; the rest is what the client sends."""
    if not data:
        return
    how, data = data[0], data[1:]
    whole, cut = make_stream(how & 1), make_stream(how & 1)
    step = 1 + (how >> 1) % 9
    expected = take(whole, [data])
    found = take(cut, [data[at : at + step] for at in range(0, len(data), step)])
    assert found == expected, f"{found} when cut, {expected} when whole"
    messages, output, _ = expected
    assert all(len(one if isinstance(one, bytes) else one.encode()) <= LIMIT for one in messages)
    assert whole.open or output or whole.ending


def make_stream(compressed: int) -> Stream:
    if not compressed:
        return Stream(LIMIT)
    negotiated = negotiate_deflate(OFFER, DEFLATE)
    assert negotiated is not None
    return Stream(LIMIT, negotiated[1])


def take(stream: Stream, chunks: list[bytes]) -> tuple[list[str | bytes], bytes, bool]:
    messages: list[str | bytes] = []
    output, last = b"", False
    for chunk in chunks:
        messages += stream.feed(chunk)
        more, ends = stream.take_output()
        assert not (last and (more or ends)), "output after the end"
        output, last = output + more, last or ends
    return messages, output, last


def fuzz_payloads(data: bytes) -> None:
    """A polling body: refused as a whole, or packets that make the same body again."""
    try:
        frames = decode_payload(data, 100)
    except PacketError:
        return
    assert 0 < len(frames) <= 100
    assert decode_payload(encode_payload(frames), 100) == frames
    session = Session("fuzzed", SETTINGS, "polling")
    session.accept(0.0, True)
    session.begin_post()
    try:
        session.receive_payload(data)
    except PacketError:
        assert session.gone


def fuzz_requests(data: bytes) -> None:
    """Each line is one part of a request, as a WSGI server hands it over."""
    names = ["QUERY_STRING", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_CONNECTION", "HTTP_SEC_WEBSOCKET_KEY", "HTTP_X_FORWARDED_FOR"]
    names += ["HTTP_SEC_WEBSOCKET_EXTENSIONS", "HTTP_X_FORWARDED_PROTO", "HTTP_UPGRADE", "CONTENT_LENGTH", "REQUEST_METHOD"]
    values = data.decode("latin-1").split("\n")
    environ = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", **dict(zip(names, values, strict=False))}
    decision = decide(Request(environ), SETTINGS, {})
    assert not isinstance(decision, Refusal) or 400 <= decision.status < 600
    client_address(environ, SETTINGS)
    find_fault(environ, "HTTP/1.1")
    negotiate_deflate(environ, DEFLATE)


TARGETS: dict[str, Callable[[bytes], None]] = {"frames": fuzz_frames, "payloads": fuzz_payloads, "requests": fuzz_requests}


def seeds(target: str) -> list[bytes]:
    """A few right inputs to begin with."""
    if target == "frames":
        frames = [b"\x81\x85MASK\x79\x29\x26\x27\x22", b"\x82\x80MASK", b"\x01\x81MASK\x79\x80\x81MASK\x79", b"\x89\x80MASK"]
        frames += [b"\x88\x82MASK\x4e\xa9", b"\x82\xfe\x00\x7eMASK" + bytes(126), b"\xc1\x87MASK\xff\x09\x9b\x82\x84\x46\x53"]
        return [bytes((how,)) + frame * 2 for frame in frames for how in (0, 1, 6)]
    if target == "payloads":
        return [b"4hello", b"4a\x1ebAQI=\x1e3", b'4{"a":[1]}', b"1", b"2probe"]
    lines = ["EIO=4&transport=websocket&sid=x", "http://a:80", "a", "Upgrade", "dGhlIHNhbXBsZSBub25jZQ==", "1.2.3.4"]
    lines += ["permessage-deflate; a=1", "https", "websocket", "5", "GET"]
    return ["\n".join(lines).encode()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz a parser, guided by coverage.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--corpus", type=Path, help="folder of inputs to begin with and to add to (default: a new one)")
    parser.add_argument("inputs", nargs="*", type=Path, help="run these files once instead")
    options = parser.parse_args()
    if options.inputs:
        for path in options.inputs:
            TARGETS[options.target](path.read_bytes())
        return
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz-{options.target}-"))
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds(options.target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    print(f"fuzzing {options.target} for {options.seconds} s; the corpus is {corpus}", flush=True)
    arguments = [f"-max_total_time={options.seconds}", f"-artifact_prefix={corpus}/", "-timeout=5", "-max_len=6000"]
    atheris.Setup([sys.argv[0], *arguments, "-print_final_stats=1", str(corpus)], TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
