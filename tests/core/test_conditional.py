"""Preconditions and byte ranges, as functions of headers and numbers."""

from email.utils import formatdate
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_green.core.conditional import REQUEST_HEADERS, Version, failed_precondition, requested_range

MADE = 1_700_000_000
NOW = MADE + 3600
V = Version.of(MADE * 10**9 + 123, 1000, NOW)
DATE, EARLIER, LATER = (formatdate(moment, usegmt=True) for moment in (MADE, MADE - 1, MADE + 1))
MODIFIED, FAILED = HTTPStatus.NOT_MODIFIED, HTTPStatus.PRECONDITION_FAILED


def test_the_entity_tag_is_strong_and_changes_with_time_and_size():
    tags = {Version.of(ns, size, NOW).entity_tag for ns in (1, 2, 10**18) for size in (0, 1, 1000)}
    assert len(tags) == 9
    assert all(tag[0] == tag[-1] == '"' and tag.isascii() and "," not in tag for tag in tags)


def test_last_modified_is_an_http_date_in_whole_seconds():
    assert dict(V.headers()) == {"ETag": V.entity_tag, "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}


def test_last_modified_is_never_in_the_future():
    assert Version.of((NOW + 500) * 10**9, 1, NOW + 0.9).last_modified == formatdate(NOW, usegmt=True)


@pytest.mark.parametrize("seconds", [-(10**17), -(10**12)])
def test_a_year_that_no_calendar_has_leaves_last_modified_out(seconds):
    assert [name for name, _ in Version.of(seconds * 10**9, 1, NOW).headers()] == ["ETag"]


def test_a_time_before_the_epoch_is_a_time_like_any_other():
    assert Version.of(-(10**9), 1, NOW).last_modified == "Wed, 31 Dec 1969 23:59:59 GMT"


@pytest.mark.parametrize(
    ("field", "outcome"),
    [
        (V.entity_tag, MODIFIED),
        ("W/" + V.entity_tag, MODIFIED),
        (f'"other", W/"a,b" ,{V.entity_tag}', MODIFIED),
        ("*", MODIFIED),
        (" * ", MODIFIED),
        ('"other"', None),
        (V.entity_tag.strip('"'), None),
        (V.entity_tag.upper().replace("A", "B"), None),
        ("", None),
        ('"' * 9, None),
    ],
)
def test_if_none_match_compares_weakly(field, outcome):
    assert failed_precondition({"if-none-match": field}, V) == outcome


@pytest.mark.parametrize(
    ("field", "outcome"),
    [(V.entity_tag, None), ("*", None), (f'"x", {V.entity_tag}', None), ("W/" + V.entity_tag, FAILED), ('"x"', FAILED)],
)
def test_if_match_compares_strongly(field, outcome):
    assert failed_precondition({"if-match": field}, V) == outcome


@pytest.mark.parametrize(("field", "outcome"), [(EARLIER, None), (DATE, MODIFIED), (LATER, MODIFIED)])
def test_if_modified_since_is_met_by_a_version_not_newer(field, outcome):
    assert failed_precondition({"if-modified-since": field}, V) == outcome


@pytest.mark.parametrize(("field", "outcome"), [(EARLIER, FAILED), (DATE, None), (LATER, None)])
def test_if_unmodified_since_refuses_a_newer_version(field, outcome):
    assert failed_precondition({"if-unmodified-since": field}, V) == outcome


@pytest.mark.parametrize("field", ["Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023"])
def test_the_obsolete_forms_of_dates_are_understood(field):
    assert failed_precondition({"if-modified-since": field}, V) is MODIFIED


@pytest.mark.parametrize("field", ["", "yesterday", "0", "Tue, 32 Nov 2023 22:13:20 GMT", DATE + " " * 200, "9" * 100])
@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since"])
def test_an_unreadable_date_is_no_condition(name, field):
    assert failed_precondition({name: field}, V) is None


def test_entity_tags_outrank_dates():
    assert failed_precondition({"if-none-match": '"x"', "if-modified-since": LATER}, V) is None
    assert failed_precondition({"if-none-match": V.entity_tag, "if-modified-since": EARLIER}, V) is MODIFIED
    assert failed_precondition({"if-match": V.entity_tag, "if-unmodified-since": EARLIER}, V) is None


def test_a_failed_if_match_outranks_not_modified():
    assert failed_precondition({"if-match": '"x"', "if-none-match": V.entity_tag}, V) is FAILED


def test_without_conditions_the_request_goes_on():
    assert failed_precondition({}, V) is None


@pytest.mark.parametrize(
    ("field", "span"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-", range(1000)),
        ("bytes=10-19", range(10, 20)),
        ("Bytes= 10-19 ", range(10, 20)),
        ("bytes=999-", range(999, 1000)),
        ("bytes=990-5000", range(990, 1000)),
        ("bytes=-1", range(999, 1000)),
        ("bytes=-5000", range(1000)),
        ("bytes=5-" + "9" * 60, range(5, 1000)),
    ],
)
def test_a_single_range_is_clamped_to_the_size(field, span):
    assert requested_range({"range": field}, V) == span


@pytest.mark.parametrize("field", ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=" + "9" * 60 + "-"])
def test_a_range_outside_is_empty(field):
    span = requested_range({"range": field}, V)
    assert span is not None
    assert len(span) == 0


@pytest.mark.parametrize(
    "field",
    [
        "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=1", "bytes=--1", "bytes=1-2-3", "bytes=+1-2",
        "items=0-5", "bytes=0-1,5-6", "bytes=0-1,", "bytes 0-1", "bytes=1_0-20", "bytes=\u0661-\u0662", "bytes=0-1\n",
        "bytes=" + "0" * 200 + "-5",
    ],
)  # fmt: skip
def test_nonsense_other_units_and_several_ranges_mean_the_whole(field):
    assert requested_range({"range": field}, V) is None


def test_an_empty_file_has_no_range_but_a_suffix_of_it_is_the_whole():
    empty = Version.of(MADE * 10**9, 0, NOW)
    assert requested_range({"range": "bytes=-5"}, empty) is None
    for field in ("bytes=0-", "bytes=0-0", "bytes=-0"):
        assert requested_range({"range": field}, empty) == range(0)


@pytest.mark.parametrize("condition", [V.entity_tag, DATE, f" {DATE} "])
def test_if_range_with_this_version_keeps_the_range(condition):
    assert requested_range({"range": "bytes=0-1", "if-range": condition}, V) == range(2)


@pytest.mark.parametrize("condition", ["W/" + V.entity_tag, '"x"', EARLIER, LATER, "", "*"])
def test_if_range_with_another_version_means_the_whole(condition):
    assert requested_range({"range": "bytes=0-1", "if-range": condition}, V) is None


def test_if_range_never_matches_a_missing_date():
    undated = Version(V.entity_tag, V.modified, None, V.size)
    assert requested_range({"range": "bytes=0-1", "if-range": "None"}, undated) is None


@given(st.dictionaries(st.sampled_from(REQUEST_HEADERS), st.text(st.characters(max_codepoint=255), max_size=140)))
def test_whatever_the_headers_hold_the_outcome_is_defined(headers):
    assert failed_precondition(headers, V) in (None, MODIFIED, FAILED)
    assert requested_range(headers, V) is None


@given(st.text("0123456789", max_size=25), st.text("0123456789", max_size=25), st.integers(0, 10**12))
def test_a_range_never_leaves_the_file(first, last, size):
    span = requested_range({"range": f"bytes={first}-{last}"}, Version.of(0, size, NOW))
    assert span is None or not span or (0 <= span.start < span.stop <= size)


@given(st.text("TueNov14 ,:-+0239GMT", max_size=60))
def test_no_date_like_text_raises(field):
    assert failed_precondition({"if-modified-since": field}, V) in (None, MODIFIED)
