"""The conformance suite's cases, fed to the frame layer alone; on the wire the same tables run in the scenarios."""

from __future__ import annotations

import pytest
from client_frames import Outcome, outcome_of, read_frames, watch
from scenarios.conformance import DEFLATE_FAMILIES, FAMILIES, LIMIT, Case, DeflateCase
from scenarios.deflating import Codec, parameters_of

from engineio_green.core.settings import Deflate
from engineio_green.websocket.handshake import deflate_factory, negotiate_deflate
from engineio_green.websocket.stream import Stream

CASES = [one for family in FAMILIES.values() for one in family]
DEFLATE_CASES = [one for family in DEFLATE_FAMILIES.values() for one in family]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_of_the_suite_is_passed_however_it_is_cut(case: Case):
    outcomes = watch(Stream(LIMIT), iter(case.writes)), outcome_of(b"".join(case.writes), LIMIT)
    for outcome in outcomes:
        assert (outcome.messages, outcome.pongs, outcome.code) == (case.messages, case.pongs, case.code)
        assert (outcome.failed, outcome.last) == (case.failed, case.code is not None)
    assert isinstance(outcomes[0], Outcome)


@pytest.mark.parametrize("case", DEFLATE_CASES, ids=[case.name for case in DEFLATE_CASES])
def test_a_compressed_case_of_the_suite_is_passed(case: DeflateCase):
    negotiated = negotiate_deflate({"HTTP_SEC_WEBSOCKET_EXTENSIONS": case.offer}, deflate_factory(Deflate()))
    assert negotiated is not None
    stream, codec = Stream(LIMIT, negotiated[1]), Codec(parameters_of(negotiated[0]) or {})
    for message in case.messages:
        received = [one for frame in codec.encode(message, case.fragments)[0] for one in stream.feed(frame)]
        assert received == [message]
        (sent,) = read_frames(stream.encode(message))
        assert sent.rsv == 4
        data = codec.inflate(sent.payload)
        assert (data.decode() if isinstance(message, str) else data) == message
