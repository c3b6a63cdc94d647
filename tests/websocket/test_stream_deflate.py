"""Compressed messages (RFC 7692), against a client made of zlib alone: families 12 and 13 of the conformance suite in small."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import zlib

import pytest
from client_frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Outcome, close, frame, outcome_of, read_frames, text
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_green.core.settings import Deflate
from engineio_green.websocket.handshake import deflate_factory, negotiate_deflate
from engineio_green.websocket.stream import Stream, encode_frame

RSV1 = 4
TAIL = b"\x00\x00\xff\xff"
LIMIT = 1_000_000


class Client:
    """Compresses what it sends and inflates what it gets, as section 7.2 says."""

    def __init__(self, *, takeover=True, bits=15, server_takeover=True, server_bits=15, level=6):
        self._takeover, self._bits, self._level = takeover, bits, level
        self._server_takeover, self._server_bits = server_takeover, server_bits
        self._deflate = self._inflate = None

    def deflate(self, payload):
        if self._deflate is None or not self._takeover:
            self._deflate = zlib.compressobj(self._level, zlib.DEFLATED, -self._bits)
        data = self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[: -len(TAIL)]

    def inflate(self, data):
        if self._inflate is None or not self._server_takeover:
            self._inflate = zlib.decompressobj(-self._server_bits)
        return self._inflate.decompress(data + TAIL)

    def message(self, payload, opcode=BINARY):
        return frame(opcode, self.deflate(payload), rsv=RSV1)

    def read(self, data):
        """Return the messages in *data*, and whether each was compressed."""
        return [(self.inflate(one.payload) if one.rsv == RSV1 else one.payload, one.rsv == RSV1) for one in read_frames(data)]


def make(max_size=LIMIT, offer="permessage-deflate; client_max_window_bits", threshold=0, **options):
    negotiated = negotiate_deflate({"HTTP_SEC_WEBSOCKET_EXTENSIONS": offer}, deflate_factory(Deflate(**options)))
    assert negotiated is not None
    return Stream(max_size, negotiated[1], threshold)


def feed(data, max_size=LIMIT, **how):
    return outcome_of(data, max_size, lambda size: make(size, **how))


def assert_open(data, messages, **how):
    assert feed(data, **how)[:5] == Outcome(messages, [], None, b"", False, False)[:5]


def assert_failed(data, codes, messages=(), **how):
    outcome = feed(data, **how)
    assert outcome.messages == list(messages)
    assert outcome.code in codes
    assert outcome.failed


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


# --- in -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1000, 32768, 65535, 65536, 131072])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_compressed_messages_of_any_size_arrive(size, level):
    for payload in (b"a" * size, noise(size)):
        assert_open(Client(level=level).message(payload), [payload])


def test_compressed_text_arrives_as_text():
    message = "h\u00e4 \u20ac \U0001f600 " * 100
    assert_open(Client().message(message.encode(), TEXT), [message])


def test_one_message_may_refer_to_the_one_before():
    client = Client()
    messages = [b"the same long words again and again %d" % (number % 3) for number in range(100)]
    data = b"".join(client.message(message) for message in messages)
    assert len(data) < sum(map(len, messages)) / 2
    assert_open(data, messages)


def test_messages_may_come_uncompressed_in_between():
    client = Client()
    data = (
        client.message(b"aaaa" * 100)
        + text("plain")
        + client.message(b"aaaa" * 100)
        + frame(BINARY, b"plain")
        + client.message(b"")
    )
    assert_open(data, [b"aaaa" * 100, "plain", b"aaaa" * 100, b"plain", b""])


@pytest.mark.parametrize("cuts", [(0,), (1,), (5, 9), (0, 0), (3, 3, 10)])
def test_a_compressed_message_may_come_in_fragments(cuts):
    client, payload = Client(), b"fragmented and compressed " * 20
    data = client.deflate(payload)
    edges = [0, *cuts, len(data)]
    sent = b"".join(
        frame(CONT if index else BINARY, data[start:end], fin=end is edges[-1] and index == len(cuts), rsv=0 if index else RSV1)
        for index, (start, end) in enumerate(itertools.pairwise(edges))
    )
    assert_open(sent + client.message(payload), [payload, payload])


def test_control_frames_between_compressed_fragments_are_answered():
    data = Client().deflate(b"x" * 1000)
    sent = frame(BINARY, data[:3], fin=False, rsv=RSV1) + frame(PING, b"p") + frame(CONT, data[3:])
    outcome = feed(sent)
    assert (outcome.messages, outcome.pongs, outcome.code) == ([b"x" * 1000], [b"p"], None)


@pytest.mark.parametrize("ending", [zlib.Z_FULL_FLUSH, zlib.Z_SYNC_FLUSH])
def test_a_message_may_end_with_any_flush(ending):
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(b"hello") + packer.flush(ending)
    assert_open(frame(BINARY, data[:-4], rsv=RSV1), [b"hello"])


def test_a_message_of_a_final_block_is_understood():
    """Section 7.2.3.4: the last block with its BFINAL bit set, and a byte behind it."""
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(b"hello") + packer.flush(zlib.Z_FINISH)
    assert_open(frame(BINARY, data + b"\x00", rsv=RSV1), [b"hello"])


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_a_smaller_window_of_the_client_is_understood(bits):
    client = Client(bits=bits)
    payload = noise(2000) * 20
    assert_open(client.message(payload) + client.message(payload), [payload, payload], client_max_window_bits=bits)


def test_a_client_without_context_is_understood():
    client = Client(takeover=False)
    messages = [b"again " * 100] * 5
    assert_open(b"".join(map(client.message, messages)), messages, client_no_context_takeover=True)


# --- what is wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_compressed_control_frame_fails(opcode):
    assert_failed(frame(opcode, b"\x03\xe8", rsv=RSV1), {1002})


def test_the_mark_of_compression_on_a_continuation_fails():
    data = Client().deflate(b"x" * 1000)
    assert_failed(frame(BINARY, data[:3], fin=False, rsv=RSV1) + frame(CONT, data[3:], rsv=RSV1), {1002})
    assert_failed(frame(BINARY, b"x", fin=False) + frame(CONT, data, rsv=RSV1), {1002})


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_other_reserved_bits_fail(rsv):
    assert_failed(frame(BINARY, Client().deflate(b"hello"), rsv=rsv), {1002})


def test_the_mark_of_compression_fails_where_none_was_agreed():
    outcome = outcome_of(Client().message(b"hello"))
    assert (outcome.messages, outcome.code, outcome.failed) == ([], 1002, True)


@pytest.mark.parametrize("data", [b"\xff", b"\xff\xff\xff\xff", b"\x07", noise(100), b"\x00" * 50 + b"\xff" * 50])
def test_what_can_not_be_inflated_fails(data):
    assert_failed(text("before") + frame(BINARY, data, rsv=RSV1) + text("after"), {1002, 1007}, ["before"])


def test_compressed_text_that_is_not_utf_8_fails():
    assert_failed(Client().message(b"a" * 1000 + b"\xff", TEXT), {1007})


# --- limits -------------------------------------------------------------------------------------------------------------


def test_the_limit_is_that_of_the_inflated_message():
    client = Client()
    assert_open(client.message(b"x" * 5000), [b"x" * 5000], max_size=5000)
    assert_failed(Client().message(b"x" * 5001), {1009}, max_size=5000)


def test_the_limit_is_that_of_all_inflated_fragments_together():
    data = Client().deflate(b"x" * 5001)
    sent = frame(BINARY, data[:5], fin=False, rsv=RSV1) + frame(CONT, data[5:])
    assert_failed(sent, {1009}, max_size=5000)


def test_a_bomb_fails_and_is_not_inflated():
    bomb = Client(level=9).deflate(b"\x00" * 200_000_000)
    assert len(bomb) < 250_000
    stream = make(LIMIT)
    tracemalloc.start()
    try:
        assert stream.feed(frame(BINARY, bomb, rsv=RSV1)) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stream.failed
    (sent,) = read_frames(stream.take_output()[0])
    assert sent.payload[:2] == (1009).to_bytes(2, "big")
    assert peak < 6 * LIMIT


def test_a_message_that_is_too_long_compressed_fails_by_its_header():
    assert_failed(frame(BINARY, noise(5001), rsv=RSV1)[:8], {1009}, max_size=5000)


# --- out ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000, 65535, 65536, 200_000])
def test_what_is_sent_can_be_inflated(size):
    stream, client = make(), Client()
    for message in (b"a" * size, noise(size), "x" * size):
        payload = message.encode() if isinstance(message, str) else message
        assert client.read(stream.encode(message)) == [(payload, True)]


def test_messages_that_are_sent_refer_to_the_ones_before():
    stream, client = make(), Client()
    message = noise(1000)
    first, second = stream.encode(message), stream.encode(message)
    assert len(second) < len(first) / 10
    assert client.read(first + second) == [(message, True)] * 2


@pytest.mark.parametrize(
    "how", [{"server_no_context_takeover": True}, {"offer": "permessage-deflate; server_no_context_takeover"}]
)
def test_without_context_each_message_that_is_sent_stands_alone(how):
    stream, client = make(**how), Client(server_takeover=False)
    message = noise(1000)
    frames = [stream.encode(message) for _ in range(3)]
    for one in reversed(frames):
        assert client.read(one) == [(message, True)]


@pytest.mark.parametrize(
    ("how", "bits"),
    [
        ({"server_max_window_bits": 9}, 9),
        ({"server_max_window_bits": 12}, 12),
        ({"offer": "permessage-deflate; server_max_window_bits=10"}, 10),
    ],
)
def test_the_agreed_window_is_kept_to(how, bits):
    stream, client = make(**how), Client(server_bits=bits)
    message = noise(3000) * 10
    assert client.read(stream.encode(message) + stream.encode(message)) == [(message, True)] * 2


@pytest.mark.parametrize(("size", "compressed"), [(0, False), (99, False), (100, True), (5000, True)])
def test_short_messages_are_sent_as_they_are(size, compressed):
    stream, client = make(threshold=100), Client()
    assert client.read(stream.encode(b"x" * size)) == [(b"x" * size, compressed)]
    if not compressed:
        assert stream.encode(b"x" * size) == encode_frame(b"x" * size)


def test_a_stream_with_compression_has_frames_of_its_own():
    assert not make().shares_frames


def test_pongs_and_closes_are_never_compressed():
    stream = make()
    stream.feed(Client().message(b"x" * 100) + frame(PING, b"p" * 100) + close(1000, b"bye"))
    frames = read_frames(stream.take_output()[0])
    assert [(one.opcode, one.rsv) for one in frames] == [(PONG, 0), (CLOSE, 0)]
    assert frames[0].payload == b"p" * 100


# --- any ----------------------------------------------------------------------------------------------------------------

MESSAGES = st.lists(
    st.tuples(st.one_of(st.binary(max_size=300), st.text(max_size=100)), st.booleans(), st.integers(0, 20)), max_size=8
)


@given(messages=MESSAGES, takeover=st.booleans())
@settings(deadline=None, print_blob=True)
def test_any_messages_go_there_and_back(messages, takeover):
    client, sent = Client(takeover=takeover), b""
    for message, compressed, cut in messages:
        opcode, payload = (TEXT, message.encode("utf-8", "replace")) if isinstance(message, str) else (BINARY, message)
        data = client.deflate(payload) if compressed else payload
        sent += frame(opcode, data[:cut], fin=False, rsv=RSV1 if compressed else 0) + frame(CONT, data[cut:])
    expected = [
        message.encode("utf-8", "replace").decode() if isinstance(message, str) else message for message, _, _ in messages
    ]
    assert_open(sent, expected, client_no_context_takeover=not takeover)
    stream, reader = make(), Client()
    for message in expected:
        payload = message.encode() if isinstance(message, str) else message
        assert reader.read(stream.encode(message)) == [(payload, True)]
