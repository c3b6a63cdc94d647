"""The cases of the public conformance suite for RFC 6455 and 7692, as tables: what is written, and what must come of it.

Owns bytes and expectations, numbered as the suite numbers them; the sizes are smaller. Every text is an Engine.IO message
(it begins with `4`), so that each case can be fed to the frame layer alone and sent to a whole server. Must not know either.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame

LIMIT = 1_000_000  # the longest message that is taken
NO_STATUS = 1005  # stands for a close frame without a code (RFC 6455, section 7.1.5)

VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]

VALID_TEXTS = [
    "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\x00", "\x7f", "\u0080",
    "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufdd0", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\U00010000", "\U0001f600",
    "\U0010fffd", "\u20ac" * 1000, "\U0001f600" * 1000, "a\u0308", "\u2028\u2029", "\r\n\t",
    *(chr((plane << 16) | low) for plane in range(1, 17) for low in (0xFFFE, 0xFFFF)),
]  # fmt: skip
INVALID_TEXTS = {
    "continuation byte alone": b"\x80",
    "last continuation byte alone": b"\xbf",
    **{f"{count} continuation bytes alone": (b"\x80\xbf" * 4)[:count] for count in range(2, 8)},
    "all continuation bytes": bytes(range(0x80, 0xC0)),
    "starts of two, each before a space": b"".join(bytes((byte, 0x20)) for byte in range(0xC0, 0xE0)),
    "starts of three, each before a space": b"".join(bytes((byte, 0x20)) for byte in range(0xE0, 0xF0)),
    "starts of four, each before a space": b"".join(bytes((byte, 0x20)) for byte in range(0xF0, 0xF8)),
    "start of two at the end": b"\xc3",
    "start of three at the end": b"\xe1\x80",
    "start of three, nothing follows": b"\xe1",
    "start of four at the end": b"\xf1\x80\x80",
    "start of four, a letter follows": b"\xf1\x80\x80a",
    "unfinished ones in a row": b"\xc0\xe0\x80\xf0\x80\x80\xdf\xef\xbf\xf7\xbf\xbf",
    "start of five": b"\xf8\x88\x80\x80\x80",
    "start of six": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "fe fe ff ff": b"\xfe\xfe\xff\xff",
    "overlong slash in two": b"\xc0\xaf",
    "overlong slash in three": b"\xe0\x80\xaf",
    "overlong slash in four": b"\xf0\x80\x80\xaf",
    "overlong nul": b"\xc0\x80",
    "overlong nul in three": b"\xe0\x80\x80",
    "overlong nul in four": b"\xf0\x80\x80\x80",
    "overlong 7f": b"\xc1\xbf",
    "overlong 7ff": b"\xe0\x9f\xbf",
    "overlong ffff": b"\xf0\x8f\xbf\xbf",
    "overlong in five": b"\xf8\x80\x80\x80\xaf",
    "overlong in six": b"\xfc\x80\x80\x80\x80\xaf",
    "first high surrogate": b"\xed\xa0\x80",
    "last private high surrogate": b"\xed\xad\xbf",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last low surrogate": b"\xed\xbf\xbf",
    "pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "last pair of surrogates": b"\xed\xaf\xbf\xed\xbf\xbf",
    "past the last character": b"\xf4\x90\x80\x80",
    "far past the last character": b"\xf7\xbf\xbf\xbf",
    "text with a surrogate in it": "\u03ba\u1f79\u03c3\u03bc\u03b5".encode() + b"\xed\xa0\x80edited",
    "latin-1": "\u00e4\u00f6".encode("latin-1"),
    "utf-16": "hello".encode("utf-16"),
    "late": b"a" * 70_000 + b"\xff",
    "early": b"\xff" + b"a" * 70_000,
}  # fmt: skip


class Case(NamedTuple):
    """What a client writes, each piece in a write of its own, and what must come of it."""

    name: str
    writes: list[bytes]
    messages: list[str | bytes]
    """That reach the application, in order."""
    pongs: list[bytes]
    code: int | None
    """Of the server's close frame; None: the websocket stays open."""
    failed: bool
    """Whether the server closes because of a fault, and not in answer to the client's close."""


def case(
    name: str,
    writes: Iterable[bytes],
    messages: Iterable[str | bytes] = (),
    pongs: Iterable[bytes] = (),
    code: int | None = None,
    failed: bool = True,
) -> Case:
    return Case(name, list(writes), list(messages), list(pongs), code, code is not None and failed)


def octets(data: bytes) -> list[bytes]:
    return pieces(data, 1)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragments(opcode: int, *parts: bytes) -> list[bytes]:
    """One message in as many frames."""
    last = len(parts) - 1
    return [encode_frame(CONTINUATION if index else opcode, part, index == last) for index, part in enumerate(parts)]


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    return encode_frame(CLOSE, (b"" if code is None else struct.pack("!H", code)) + reason)


def in_three_ways(name: str, frames: list[bytes], **expected: object) -> Iterator[Case]:
    """The same bytes in one write, in one write per frame, and in one write per byte."""
    whole = b"".join(frames)
    for way, writes in (("in one write", [whole]), ("frame by frame", frames), ("byte by byte", octets(whole))):
        yield case(f"{name}, {way}", writes, **expected)  # type: ignore[arg-type]


def message_of(opcode: int, payload: bytes) -> str | bytes:
    return payload.decode() if opcode == TEXT else payload


def single(name: str, opcode: int, payload: bytes) -> Case:
    return case(name, [encode_frame(opcode, payload)], [message_of(opcode, payload)])


def filled(size: int) -> bytes:
    """A payload that is a packet in a text frame, too."""
    return b"4" + b"*" * (size - 1) if size else b""


# --- the families -------------------------------------------------------------------------------------------------------


def lengths() -> Iterator[Case]:
    for group, opcode in enumerate((TEXT, BINARY), 1):
        for number, size in enumerate((0, 1, 125, 126, 127, 128, 65535, 65536)):
            if opcode == BINARY or size:
                yield single(f"1.{group}.{number} {size} bytes", opcode, filled(size))
        data = encode_frame(opcode, filled(65536))
        yield case(f"1.{group}.8 65536 bytes in pieces", pieces(data, 997), [message_of(opcode, filled(65536))])


def pings() -> Iterator[Case]:
    payloads = [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125]
    for number, payload in enumerate(payloads, 1):
        yield case(f"2.{number} ping of {len(payload)} bytes", [encode_frame(PING, payload)], pongs=[payload])
    yield case("2.5 ping of 126 bytes", [encode_frame(PING, b"\xfe" * 126)], code=1002)
    yield case("2.6 ping byte by byte", octets(encode_frame(PING, b"\xfe" * 125)), pongs=[b"\xfe" * 125])
    yield case("2.7 unasked pong", [encode_frame(PONG, b"")])
    yield case("2.8 unasked pong with payload", [encode_frame(PONG, b"unasked")])
    yield case("2.9 unasked pong, then ping", [encode_frame(PONG, b"unasked"), encode_frame(PING, b"ping")], pongs=[b"ping"])
    ten = [b"payload-%d" % number for number in range(10)]
    yield from in_three_ways("2.10 ten pings", [encode_frame(PING, payload) for payload in ten], pongs=ten)


def reserved_bits() -> Iterator[Case]:
    good, ping = encode_frame(TEXT, b"4good"), encode_frame(PING, b"never")
    yield case("3.1 text with bits 1", [encode_frame(TEXT, b"4bad", rsv=1)], code=1002)
    for number, bits in ((2, 2), (3, 3), (4, 4)):
        frames = [good, encode_frame(TEXT, b"4bad", rsv=bits), ping]
        yield from in_three_ways(f"3.{number} text with bits {bits}", frames, messages=["4good"], code=1002)
    yield case("3.5 binary with bits 5", [encode_frame(BINARY, b"\x00\xff", rsv=5)], code=1002)
    yield case("3.6 ping with bits 6", [encode_frame(PING, b"bad", rsv=6)], code=1002)
    yield case("3.7 close with bits 7", [encode_frame(CLOSE, b"\x03\xe8", rsv=7)], code=1002)


def opcodes() -> Iterator[Case]:
    good, ping = encode_frame(TEXT, b"4good"), encode_frame(PING, b"never")
    for group, first in ((1, 3), (2, 11)):
        for number, opcode in enumerate(range(first, first + 5), 1):
            bad = encode_frame(opcode, b"" if number % 2 else b"bad")
            if number < 3:
                yield case(f"4.{group}.{number} opcode {opcode}", [bad], code=1002)
            else:
                name = f"4.{group}.{number} text, opcode {opcode}, ping"
                yield from in_three_ways(name, [good, bad, ping], messages=["4good"], code=1002)


def fragmentation() -> Iterator[Case]:
    yield case("5.1 ping in two fragments", fragments(PING, b"a", b"b"), code=1002)
    yield case("5.2 pong in two fragments", fragments(PONG, b"a", b"b"), code=1002)
    first, second = fragments(TEXT, b"4fragment1", b"fragment2")
    joined = "4fragment1fragment2"
    yield from in_three_ways("5.3 text in two fragments", [first, second], messages=[joined])
    ping = encode_frame(PING, b"between")
    yield from in_three_ways("5.6 ping between fragments", [first, ping, second], messages=[joined], pongs=[b"between"])
    text = encode_frame(TEXT, b"4after")
    for number, fin in ((9, True), (12, False)):
        nothing = encode_frame(CONTINUATION, b"of nothing", fin)
        yield from in_three_ways(f"5.{number} continuation of nothing, final {fin}, then text", [nothing, text], code=1002)
    stray = encode_frame(CONTINUATION, b"of nothing", False)
    frames = [first, second, stray, text]
    yield from in_three_ways("5.15 fragments, continuation of nothing, text", frames, messages=[joined], code=1002)
    for number, fin in ((16, False), (17, True)):
        frames = [encode_frame(CONTINUATION, b"a", fin), encode_frame(TEXT, b"4b", not fin), encode_frame(CONTINUATION, b"c")] * 2
        yield from in_three_ways(f"5.{number} continuation first, final {fin}", frames, code=1002)
    begun = encode_frame(TEXT, b"4a", False)
    yield from in_three_ways("5.18 text within a text", [begun, encode_frame(TEXT, b"4b")], code=1002)
    yield from in_three_ways("5.18 binary within a text", [begun, encode_frame(BINARY, b"b", False)], code=1002)
    five = fragments(TEXT, b"4fragment1", b"fragment2", b"fragment3", b"fragment4", b"fragment5")
    mixed = [*five[:2], encode_frame(PING, b"one"), *five[2:4], encode_frame(PING, b"two"), five[4]]
    yield from in_three_ways(
        "5.19 five fragments and two pings", mixed,
        messages=["4fragment1fragment2fragment3fragment4fragment5"], pongs=[b"one", b"two"],
    )  # fmt: skip


def utf_8() -> Iterator[Case]:
    yield case("6.1.1 text without text", [encode_frame(TEXT, b"4")], ["4"])
    yield case("6.1.2 empty fragments behind", fragments(TEXT, b"4", b"", b""), ["4"])
    yield case("6.1.3 empty fragments around", fragments(TEXT, b"", b"4middle", b""), ["4middle"])
    for number, text in enumerate(VALID_TEXTS):
        data = b"4" + text.encode()
        yield case(f"6.2.{number} {text[:9]!a}", [encode_frame(TEXT, data)], ["4" + text])
        if 2 < len(data) < 60:
            yield case(f"6.2.{number} {text[:9]!a} in fragments of a byte", fragments(TEXT, *octets(data)), ["4" + text])
    for number, (name, bad) in enumerate(INVALID_TEXTS.items()):
        data = b"4" + bad
        yield case(f"6.3.{number} {name}", [encode_frame(TEXT, data)], code=1007)
        if len(data) < 60:
            yield case(f"6.3.{number} {name} in fragments of a byte", fragments(TEXT, *octets(data)), code=1007)
            yield case(f"6.3.{number} {name} byte by byte", octets(encode_frame(TEXT, data)), code=1007)
    start, bad = "4\u03ba\u1f79\u03c3\u03bc\u03b5".encode(), b"\xf4\x90\x80\x80"
    for number, parts in enumerate([(start, bad, b"edited"), (start + b"\xf4", b"\x90", b"\x80\x80edited")], 1):
        yield from in_three_ways(f"6.4.{number} bad within fragments", fragments(TEXT, *parts), code=1007)


def closing() -> Iterator[Case]:
    close, text, ping = close_frame(1000), encode_frame(TEXT, b"4late"), encode_frame(PING, b"late")
    polite = {"code": 1000, "failed": False}
    yield from in_three_ways("7.1.1 text, then close", [encode_frame(TEXT, b"4Hello"), close], messages=["4Hello"], **polite)
    yield from in_three_ways("7.1.2 two closes", [close, close], **polite)
    yield from in_three_ways("7.1.3 close, then ping", [close, ping], **polite)
    yield from in_three_ways("7.1.4 close, then text", [close, text], **polite)
    begun, rest = fragments(TEXT, b"4never", b"finished")
    yield from in_three_ways("7.1.5 close within a fragmented text", [begun, close, rest], **polite)
    long = filled(262_144)
    yield case("7.1.6 long text, close, ping", [encode_frame(TEXT, long), close, ping], [long.decode()], code=1000, failed=False)
    yield case("7.3.1 close without a code", [close_frame()], code=NO_STATUS, failed=False)
    yield case("7.3.2 close of a byte", [encode_frame(CLOSE, b"a")], code=1002)
    yield case("7.3.3 close", [close], **polite)  # type: ignore[arg-type]
    yield case("7.3.4 close with reason", [close_frame(1000, b"Hello World!")], **polite)  # type: ignore[arg-type]
    yield case("7.3.5 close with longest reason", [close_frame(1000, b"*" * 123)], **polite)  # type: ignore[arg-type]
    yield case("7.3.6 close with too long a reason", [close_frame(1000, b"*" * 124)], code=1002)
    for number, (name, bad) in enumerate(INVALID_TEXTS.items(), 1):
        if len(bad) <= 123:
            yield case(f"7.5.{number} reason: {name}", [close_frame(1000, bad)], code=1007)
    for number, code in enumerate(VALID_CODES, 1):
        yield case(f"7.7.{number} code {code}", [close_frame(code)], code=code, failed=False)
        yield case(f"7.7.{number} code {code} with reason", [close_frame(code, b"bye")], code=code, failed=False)
    for number, code in enumerate(INVALID_CODES, 1):
        yield case(f"7.9.{number} code {code}", [close_frame(code)], code=1002)
        yield case(f"7.9.{number} code {code} with reason", [close_frame(code, b"bye")], code=1002)


def sizes() -> Iterator[Case]:
    for group, opcode in ((1, TEXT), (2, BINARY)):
        for number, size in enumerate((65_536, 262_144, LIMIT), 1):
            yield single(f"9.{group}.{number} {size} bytes", opcode, filled(size))
        yield case(f"9.{group}.4 over the limit", [encode_frame(opcode, filled(LIMIT + 1))], code=1009)
        long = filled(131_072)
        for number, part in enumerate((64, 256, 4096, 65_536), 1):
            frames = b"".join(fragments(opcode, *pieces(long, part)))
            yield case(f"9.{group + 2}.{number} fragments of {part}", [frames], [message_of(opcode, long)])
        for number, part in enumerate((256, 1024, 2048), 1):
            data = encode_frame(opcode, long)
            yield case(f"9.{group + 4}.{number} writes of {part}", pieces(data, part), [message_of(opcode, long)])
        for number, size in enumerate((1, 16, 64, 256, 1024, 4096, 16_384), 1):
            data = encode_frame(opcode, filled(size)) * 40
            yield case(f"9.{group + 6}.{number} forty of {size} bytes", [data], [message_of(opcode, filled(size))] * 40)


def automatic_fragments() -> Iterator[Case]:
    long = filled(65_536)
    yield case("10.1.1 fragments of 1300", fragments(TEXT, *pieces(long, 1300)), [long.decode()])


FAMILIES: dict[str, list[Case]] = {
    "1 lengths": list(lengths()),
    "2 pings": list(pings()),
    "3 reserved bits": list(reserved_bits()),
    "4 opcodes": list(opcodes()),
    "5 fragmentation": list(fragmentation()),
    "6 utf-8": list(utf_8()),
    "7 closing": list(closing()),
    "9 sizes": list(sizes()),
    "10 automatic fragments": list(automatic_fragments()),
}


# --- compression --------------------------------------------------------------------------------------------------------


class DeflateCase(NamedTuple):
    """What a client offers, and the messages that it then sends compressed, in so many frames each, and gets back."""

    name: str
    offer: str
    messages: list[str | bytes]
    fragments: int


def _words(size: int, chance: random.Random) -> str:
    vocabulary = [bytes(chance.choices(b"etaoinshrdlu", k=chance.randint(2, 9))).decode() for _ in range(300)]
    text = "4" + " ".join(chance.choices(vocabulary, k=size // 3))
    return text[:size]


def _deflate_cases(group: str, offer: str, number: int = 0) -> Iterator[DeflateCase]:
    chance = random.Random(number)
    for index, (size, parts) in enumerate(((16, 1), (64, 1), (1024, 1), (8192, 1), (8192, 8), (65_536, 1), (131_072, 16)), 1):
        messages: list[str | bytes] = [_words(size, chance), chance.randbytes(size), bytes(size)] * 2
        yield DeflateCase(f"{group}.{index} {size} bytes in {parts} of {offer}", offer, messages, parts)


OFFERS = [
    "permessage-deflate; client_max_window_bits; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
    "permessage-deflate; client_max_window_bits; server_max_window_bits=15",
    "permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=15",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_max_window_bits=15, "
    "permessage-deflate",
]

DEFLATE_FAMILIES: dict[str, list[DeflateCase]] = {
    "12 compressed": list(_deflate_cases("12", "permessage-deflate; client_max_window_bits")),
    "13 offers": [one for number, offer in enumerate(OFFERS, 1) for one in _deflate_cases(f"13.{number}", offer, number)],
}
