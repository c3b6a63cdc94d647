"""Static files over real files: statuses and headers, conditional requests, ranges, streaming, and the WSGI end."""

import errno
import gc
import os
from email.utils import formatdate
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from engineio_green.static_files import BLOCK_SIZE, FileBlocks, StaticFiles, serve_wsgi

MADE = 1_700_000_000

# A file that is only closed because nobody refers to it any more is a leak.
pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """A directory with a small site, which is also the current directory; checks that no descriptor is left open."""
    files = {
        "latency.html": b"<p>latency",
        "public/app.js": b"0123456789",
        "public/empty.txt": b"",
        "other/app.js": b"other",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (MADE, MADE))
    monkeypatch.chdir(tmp_path)
    gc.collect()  # what other tests have left behind
    before = os.listdir("/dev/fd")
    yield tmp_path
    assert len(os.listdir("/dev/fd")) <= len(before)


def fetch(mapping, path, method="GET", **headers):
    """Return status, headers, body of an answer; `None` where the request is another application's."""
    response = StaticFiles(mapping).respond(method, path, {name.replace("_", "-"): value for name, value in headers.items()})
    if response is None:
        return None
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    assert len(response.headers) == len({name.lower() for name, _ in response.headers})
    return response.status.value, dict(response.headers), body


# -- the answer ---------------------------------------------------------------------------------------------------------


def test_an_answer_carries_length_validators_and_nosniff():
    status, headers, body = fetch({"/s": "public"}, "/s/app.js")
    assert (status, body) == (200, b"0123456789")
    assert headers["Content-Length"] == "10"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Last-Modified"] == formatdate(MADE, usegmt=True)
    assert headers["ETag"].startswith('"')


def test_head_has_the_headers_of_get_and_no_body():
    for name in ("app.js", "empty.txt"):
        _, expected, _ = fetch({"/s": "public"}, "/s/" + name)
        assert fetch({"/s": "public"}, "/s/" + name, "HEAD") == (200, expected, b"")


def test_an_empty_file_is_an_empty_body():
    status, headers, body = fetch({"/s": "public"}, "/s/empty.txt")
    assert (status, headers["Content-Length"], body) == (200, "0", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "CONNECT", ""])
def test_other_methods_are_refused_with_the_allowed_ones(method):
    status, headers, body = fetch({"/s": "public"}, "/s/app.js", method)
    assert (status, headers["Allow"], headers["Cache-Control"]) == (405, "GET, HEAD", "no-store")
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("application/json", "nosniff")
    assert body == b'{"message":"Method Not Allowed"}'
    assert headers["Content-Length"] == str(len(body))


def test_other_methods_on_a_missing_file_are_left_to_others():
    assert fetch({"/s": "public"}, "/s/api", "POST") is None


def test_a_client_that_has_the_version_gets_304_without_content_headers():
    _, seen, _ = fetch({"/s": "public"}, "/s/app.js")
    for method in ("GET", "HEAD"):
        for condition in ({"if_none_match": seen["ETag"]}, {"if_modified_since": seen["Last-Modified"]}):
            status, headers, body = fetch({"/s": "public"}, "/s/app.js", method, **condition)
            assert (status, body) == (304, b"")
            assert headers == {"ETag": seen["ETag"], "Last-Modified": seen["Last-Modified"]}


def test_a_changed_file_is_sent_anew(site):
    _, seen, _ = fetch({"/s": "public"}, "/s/app.js")
    (site / "public/app.js").write_bytes(b"new")
    for condition in ({"if_none_match": seen["ETag"]}, {"if_modified_since": seen["Last-Modified"]}):
        assert fetch({"/s": "public"}, "/s/app.js", **condition)[2] == b"new"


def test_a_failed_if_match_is_412():
    for method, expected in (("GET", b'{"message":"Precondition Failed"}'), ("HEAD", b"")):
        status, headers, body = fetch({"/s": "public"}, "/s/app.js", method, if_match='"x"')
        assert (status, body, headers["Cache-Control"]) == (412, expected, "no-store")


def test_a_single_range_is_206():
    for field, expected, content_range in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=0-", b"0123456789", "bytes 0-9/10"),
    ):
        status, headers, body = fetch({"/s": "public"}, "/s/app.js", range=field)
        assert (status, body, headers["Content-Range"]) == (206, expected, content_range)
        assert headers["Content-Length"] == str(len(expected))
        assert headers["Content-Type"] == "application/javascript"
        assert "ETag" in headers


def test_a_range_outside_the_file_is_416_with_the_size():
    status, headers, body = fetch({"/s": "public"}, "/s/app.js", range="bytes=10-")
    assert (status, headers["Content-Range"]) == (416, "bytes */10")
    assert body.startswith(b'{"message":')


def test_several_ranges_and_nonsense_are_answered_with_the_whole():
    for field in ("bytes=0-1,3-4", "lines=1-2", "bytes=x"):
        status, headers, body = fetch({"/s": "public"}, "/s/app.js", range=field)
        assert (status, body) == (200, b"0123456789")
        assert "Content-Range" not in headers


def test_a_range_of_head_is_ignored():
    status, headers, _ = fetch({"/s": "public"}, "/s/app.js", "HEAD", range="bytes=2-4")
    assert (status, headers["Content-Length"]) == (200, "10")


def test_if_range_gives_the_rest_of_the_same_version_only():
    _, seen, _ = fetch({"/s": "public"}, "/s/app.js")
    assert fetch({"/s": "public"}, "/s/app.js", range="bytes=8-", if_range=seen["ETag"])[2] == b"89"
    assert fetch({"/s": "public"}, "/s/app.js", range="bytes=8-", if_range=seen["Last-Modified"])[2] == b"89"
    assert fetch({"/s": "public"}, "/s/app.js", range="bytes=8-", if_range='"x"')[0] == 200


# -- streaming ----------------------------------------------------------------------------------------------------------


def test_a_large_file_is_read_in_blocks(site):
    content = os.urandom(3 * BLOCK_SIZE + 17)
    (site / "public/big").write_bytes(content)
    response = StaticFiles({"/s": "public"}).respond("GET", "/s/big", {})
    blocks = list(response.body)
    assert [len(block) for block in blocks] == [BLOCK_SIZE] * 3 + [17]
    assert b"".join(blocks) == content


def test_a_range_over_block_borders_is_exact(site):
    content = os.urandom(3 * BLOCK_SIZE)
    (site / "public/big").write_bytes(content)
    first, last = BLOCK_SIZE - 1, 2 * BLOCK_SIZE + 1
    assert fetch({"/s": "public"}, "/s/big", range=f"bytes={first}-{last}")[2] == content[first : last + 1]


def test_closing_early_ends_the_blocks_and_may_be_repeated(site):
    (site / "public/big").write_bytes(b"x" * (2 * BLOCK_SIZE))
    response = StaticFiles({"/s": "public"}).respond("GET", "/s/big", {})
    next(response.body)
    response.close()
    response.close()
    assert list(response.body) == []


def test_a_file_that_grows_is_sent_with_the_promised_length(site):
    response = StaticFiles({"/s": "public"}).respond("GET", "/s/app.js", {})
    with (site / "public/app.js").open("ab") as file:
        file.write(b"more")
    assert b"".join(response.body) == b"0123456789"


def test_a_file_that_shrinks_breaks_the_answer_and_is_closed(site):
    response = StaticFiles({"/s": "public"}).respond("GET", "/s/app.js", {})
    os.truncate(site / "public/app.js", 4)
    assert next(response.body) == b"0123"
    with pytest.raises(OSError, match="shorter"):
        next(response.body)
    assert list(response.body) == []


def test_a_replaced_file_is_sent_as_it_was_opened(site):
    response = StaticFiles({"/s": "public"}).respond("GET", "/s/app.js", {})
    os.replace(site / "other/app.js", site / "public/app.js")
    assert b"".join(response.body) == b"0123456789"


# -- WSGI ---------------------------------------------------------------------------------------------------------------


def request(mapping, path, method="GET", **environ):
    """Run one request through the standard library's WSGI validator; body `None` where it was left to others."""
    files, started = StaticFiles(mapping), []

    def application(environ, start_response):
        answer = serve_wsgi(files, environ, start_response)
        if answer is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return []
        return answer

    given = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", **environ}
    setup_testing_defaults(given)
    result = validator(application)(given, lambda *answer: started.append(answer[:2]) or (lambda data: None))
    try:
        body = b"".join(result)
    finally:
        result.close()
    [(status, headers)] = started
    return status, dict(headers), body


def test_wsgi_answers_are_valid_for_every_status():
    mapping = {"/s": "public"}
    status, headers, body = request(mapping, "/s/app.js")
    assert (status, body) == ("200 OK", b"0123456789")
    assert request(mapping, "/s/app.js", "HEAD")[::2] == ("200 OK", b"")
    assert request(mapping, "/s/app.js", HTTP_RANGE="bytes=1-2")[::2] == ("206 Partial Content", b"12")
    assert request(mapping, "/s/app.js", HTTP_IF_NONE_MATCH=headers["ETag"])[::2] == ("304 Not Modified", b"")
    assert request(mapping, "/s/app.js", HTTP_IF_MODIFIED_SINCE=headers["Last-Modified"])[0] == "304 Not Modified"
    assert request(mapping, "/s/app.js", "POST")[0] == "405 Method Not Allowed"
    assert request(mapping, "/s/app.js", HTTP_IF_MATCH='"x"')[0] == "412 Precondition Failed"
    assert request(mapping, "/s/app.js", HTTP_RANGE="bytes=99-")[0].startswith("416 ")
    assert request(mapping, "/s/nothing")[0] == "404 Not Found"


def test_wsgi_paths_are_utf8_in_the_disguise_of_latin1(site):
    (site / "public/grüße.txt").write_bytes(b"hi")
    assert request({"/ü": "public"}, "/ü/grüße.txt".encode().decode("latin-1"))[2] == b"hi"
    assert request({"/s": "public"}, "/s/gr\xfc\xdfe.txt")[0] == "404 Not Found"
    assert serve_wsgi(StaticFiles({"/s": "public"}), {"REQUEST_METHOD": "GET", "PATH_INFO": "/s/日"}, None) is None


def test_wsgi_without_path_info_is_left_to_others():
    assert serve_wsgi(StaticFiles({"/": "latency.html"}), {"REQUEST_METHOD": "GET"}, None) is None


def test_a_failing_start_response_leaves_no_file_open():
    def start_response(status, headers):
        raise OSError(errno.EPIPE, "gone")

    with pytest.raises(OSError, match="gone"):
        serve_wsgi(StaticFiles({"/": "latency.html"}), {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, start_response)


def test_an_iterable_that_is_closed_unread_leaves_no_file_open():
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    answer = serve_wsgi(StaticFiles({"/": "latency.html"}), environ, lambda status, headers: None)
    assert isinstance(answer, FileBlocks)
    answer.close()
