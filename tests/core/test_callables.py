"""How many arguments a function takes, without calling it."""

from __future__ import annotations

import functools
import gc
import inspect
import weakref

import pytest

from engineio_green.core.callables import takes


class Object:
    def one(self, sid):
        raise AssertionError("not by trying")

    def two(self, sid, reason):
        raise AssertionError("not by trying")

    @staticmethod
    def static(sid, reason):
        raise AssertionError("not by trying")

    @classmethod
    def klass(cls, sid):
        raise AssertionError("not by trying")

    def __call__(self, sid, reason=None):
        raise AssertionError("not by trying")


@functools.wraps(Object.static)
def wrapped(*args, **kwargs):
    return Object.static(*args, **kwargs)


def needs_keyword(sid, *, reason):
    raise AssertionError("not by trying")


@pytest.mark.parametrize(
    ("function", "counts"),
    [
        (lambda: None, {0}),
        (lambda sid: None, {1}),
        (lambda sid, reason: None, {2}),
        (lambda sid, reason=None: None, {1, 2}),
        (lambda *args: None, {0, 1, 2, 3}),
        (lambda sid, *args: None, {1, 2, 3}),
        (lambda sid, **kwargs: None, {1}),
        (lambda sid, *, reason=None: None, {1}),
        (needs_keyword, set()),
        (Object().one, {1}),
        (Object().two, {2}),
        (Object.static, {2}),
        (Object().klass, {1}),
        (Object(), {1, 2}),
        (wrapped, {2}),
        (functools.partial(Object().two, "sid"), {1}),
        (functools.partial(Object().two, reason="x"), {1}),
        (functools.partial(lambda sid, reason: None), {2}),
        (len, {1}),
    ],
)
def test_it_is_told_from_the_signature(function, counts):
    assert {count for count in range(4) if takes(function, count)} == counts


class Silent:
    """Like some functions that are built in: it has a signature that nobody can tell."""

    @property
    def __signature__(self):
        raise ValueError("no signature to be had")

    def __call__(self, *args):
        raise AssertionError("not by trying")


def test_a_function_without_a_signature_is_called_in_the_short_form():
    assert [count for count in range(4) if takes(Silent(), count)] == [1]


def test_what_is_known_of_a_function_keeps_nothing_alive():
    thing = Object()
    method, alive = thing.two, weakref.ref(thing)
    assert takes(method, 2)
    assert takes(method, 2)
    del thing, method
    gc.collect()
    assert alive() is None


class NotToBeRemembered:
    """Without a hash, and without a place for weak references."""

    __slots__ = ()
    __hash__ = None

    def __call__(self, sid):
        raise AssertionError("not by trying")


def test_a_function_that_can_not_be_remembered_is_examined_each_time():
    function = NotToBeRemembered()
    for _ in range(2):
        assert [count for count in range(4) if takes(function, count)] == [1]


def test_a_function_is_examined_once(monkeypatch):
    def handler(sid):
        raise AssertionError("not by trying")

    assert takes(handler, 1)
    monkeypatch.setattr(inspect, "signature", None)
    assert takes(handler, 1)
