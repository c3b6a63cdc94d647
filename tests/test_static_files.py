"""Static files over real files: which file a URL means, and which mappings are refused."""

import gc
import os
from pathlib import Path

import pytest

from engineio_green.static_files import StaticFile, StaticFiles

# A file that is only closed because nobody refers to it any more is a leak.
pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """A directory with a small site, which is also the current directory; checks that no descriptor is left open."""
    files = {
        "latency.html": b"<p>latency",
        "public/index.html": b"<p>index",
        "public/image.gif": b"GIF89a",
        "public/app.js": b"0123456789",
        "public/css/styles.css": b"p{}",
        "public/css/index.html": b"<p>css",
        "public/empty.txt": b"",
        "other/app.js": b"other",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
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


def body_of(mapping, path):
    answer = fetch(mapping, path)
    return answer and answer[2]


# -- which file a URL means ---------------------------------------------------------------------------------------------


def test_a_url_is_mapped_to_a_file_in_the_current_directory():
    status, headers, body = fetch({"/": "latency.html"}, "/")
    assert (status, headers["Content-Type"], body) == (200, "text/html", b"<p>latency")


def test_a_dict_gives_the_content_type():
    status, headers, _ = fetch({"/": {"filename": "latency.html", "content_type": "text/plain; charset=utf-8"}}, "/")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")


def test_a_dict_without_content_type_goes_by_the_extension():
    assert fetch({"/": {"filename": "latency.html"}}, "/")[1]["Content-Type"] == "text/html"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html"),
        ("a.css", "text/css"),
        ("a.js", "application/javascript"),
        ("a.json", "application/json"),
        ("a.jpg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.gif", "image/gif"),
        ("a.txt", "text/plain"),
        ("A.HTML", "text/html"),
        ("a.min.js", "application/javascript"),
        ("a.svg", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("a.js.map", "application/octet-stream"),
    ],
)
def test_the_documented_extensions_have_their_content_type_and_others_are_octets(name, content_type):
    Path("public", name).write_bytes(b"x")
    assert fetch({"/s": "public"}, "/s/" + name)[1]["Content-Type"] == content_type
    assert fetch({"/x": "public/" + name}, "/x")[1]["Content-Type"] == content_type


def test_an_extension_is_the_files_own_and_not_its_directorys():
    Path("v1.html").mkdir()
    Path("v1.html/data").write_bytes(b"x")
    assert fetch({"/s": "v1.html"}, "/s/data")[1]["Content-Type"] == "application/octet-stream"


def test_a_directory_rule_serves_everything_below_it():
    mapping = {"/static": "./public"}
    assert body_of(mapping, "/static/index.html") == b"<p>index"
    assert body_of(mapping, "/static/css/styles.css") == b"p{}"
    assert body_of(mapping, "/static/nothing.js") is None
    assert body_of(mapping, "/index.html") is None
    assert body_of(mapping, "/staticindex.html") is None
    assert body_of(mapping, "/static.html") is None
    assert body_of(mapping, "/other/static/index.html") is None


def test_a_directory_rule_takes_a_content_type_for_all_its_files():
    assert fetch({"/s": {"filename": "public", "content_type": "text/plain"}}, "/s/app.js")[1]["Content-Type"] == "text/plain"


def test_absolute_names_and_path_objects_are_taken(site):
    assert body_of({"/s": str(site / "public")}, "/s/app.js") == b"0123456789"
    assert body_of({"/s": site / "public"}, "/s/app.js") == b"0123456789"
    assert body_of({"/x": {"filename": site / "latency.html"}}, "/x") == b"<p>latency"


def test_relative_names_follow_the_current_directory(site, monkeypatch):
    files = StaticFiles({"/app.js": "app.js"})
    assert files.respond("HEAD", "/app.js", {}) is None
    monkeypatch.chdir(site / "other")
    assert files.respond("HEAD", "/app.js", {}).status == 200


@pytest.mark.parametrize("url", ["/static/", "/static/css/"])
def test_a_final_slash_means_index_html(url):
    expected = {"/static/": b"<p>index", "/static/css/": b"<p>css"}
    for directory in ("./public", "./public/"):
        assert body_of({"/static": directory}, url) == expected[url]
        assert body_of({"/static/": directory}, url) == expected[url]


def test_the_empty_key_sets_the_default_file():
    mapping = {"/static": "./public", "": "image.gif"}
    status, headers, body = fetch(mapping, "/static/")
    assert (status, headers["Content-Type"], body) == (200, "image/gif", b"GIF89a")
    assert fetch(mapping, "/static/css/") is None


def test_the_default_files_content_type_can_be_given():
    mapping = {
        "/static": {"filename": "./public", "content_type": "a/b"},
        "": {"filename": "image.gif", "content_type": "text/plain"},
    }
    assert fetch(mapping, "/static/")[1]["Content-Type"] == "text/plain"
    assert fetch(mapping, "/static/image.gif")[1]["Content-Type"] == "a/b"


def test_the_default_file_may_lie_deeper():
    assert body_of({"/static": "./public", "": "./css/styles.css"}, "/static/") == b"p{}"


def test_the_empty_key_alone_maps_no_url():
    for path in ("", "/", "/index.html", "/latency.html"):
        assert fetch({"": "latency.html"}, path) is None


def test_the_root_url_can_be_a_directory():
    for directory in ("public", "public/"):
        assert body_of({"/": directory}, "/") == b"<p>index"
        assert body_of({"/": directory}, "/app.js") == b"0123456789"
        assert body_of({"/": directory}, "/css/styles.css") == b"p{}"


def test_the_root_url_alone_is_the_one_url_of_a_file():
    mapping = {"/": "latency.html"}
    assert body_of(mapping, "") is None
    assert body_of(mapping, "//") is None
    assert body_of(mapping, "/latency.html") is None


def test_a_directory_itself_is_no_file():
    assert fetch({"/static": "public"}, "/static") is None
    assert fetch({"/static": "public"}, "/static/css") is None


def test_a_directory_named_with_a_slash_gives_its_default_file_without_one_in_the_url():
    assert body_of({"/static": "public/"}, "/static") == b"<p>index"


def test_a_file_has_nothing_below_it():
    assert fetch({"/a": "latency.html"}, "/a/") is None
    assert fetch({"/a": "latency.html"}, "/a/b") is None
    assert fetch({"/s": "public"}, "/s/app.js/") is None
    assert fetch({"/s": "public"}, "/s/app.js/b") is None


def test_an_exact_rule_beats_a_directory_rule():
    mapping = {"/s": "public", "/s/app.js": "other/app.js", "/s/": "latency.html"}
    assert body_of(mapping, "/s/app.js") == b"other"
    assert body_of(mapping, "/s/") == b"<p>latency"


def test_the_nearest_directory_rule_decides_alone():
    mapping = {"/": "public", "/css": "other", "/css/deep/er": "public"}
    assert body_of(mapping, "/css/app.js") == b"other"
    assert body_of(mapping, "/css/styles.css") is None
    assert body_of(mapping, "/css/deep/er/app.js") == b"0123456789"
    assert body_of(mapping, "/css/deep/app.js") is None
    assert body_of(mapping, "/app.js") == b"0123456789"


def test_a_rule_with_a_final_slash_is_the_nearer_one_for_what_lies_below():
    assert body_of({"/s": "latency.html", "/s/": "public"}, "/s/app.js") == b"0123456789"
    assert body_of({"/s": "latency.html", "/s/": "public"}, "/s") == b"<p>latency"


def test_the_order_of_the_rules_does_not_matter():
    mapping = {"/": "public", "/css": "other", "/css/app.js": "latency.html"}
    for rules in (mapping, dict(reversed(mapping.items()))):
        assert body_of(rules, "/css/app.js") == b"<p>latency"


def test_a_missing_file_or_directory_leaves_the_request_to_others():
    assert fetch({"/x": "missing.html", "/d": "missing"}, "/x") is None
    assert fetch({"/x": "missing.html", "/d": "missing"}, "/d/") is None
    assert fetch({"/x": "missing.html", "/d": "missing"}, "/d/a") is None


def test_no_rules_match_nothing():
    for path in ("", "/", "/a"):
        assert StaticFiles({}).find(path) is None


def test_urls_are_case_sensitive():
    assert fetch({"/Static": "public"}, "/static/app.js") is None


def test_find_tells_file_and_content_type_without_looking_for_the_file():
    files = StaticFiles({"/s": "./nowhere", "/x": {"filename": "a.bin", "content_type": "a/b"}})
    assert files.find("/s/a/b.css") == StaticFile("./nowhere/a/b.css", "text/css", "./nowhere", ("a", "b.css"))
    assert files.find("/x") == StaticFile("a.bin", "a/b")


def test_later_changes_of_the_mapping_are_not_seen():
    mapping = {"/x": "latency.html"}
    files = StaticFiles(mapping)
    mapping.clear()
    assert files.find("/x") is not None


def test_non_ascii_urls_and_names_are_mapped():
    Path("public", "grüße 日.txt").write_bytes(b"hi")
    assert body_of({"/ü": "public"}, "/ü/grüße 日.txt") == b"hi"
    assert body_of({"/日": "public/grüße 日.txt"}, "/日") == b"hi"


# -- a wrong mapping is refused with the key's name ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "error", "named"),
    [
        (None, TypeError, "NoneType"),
        ([("/", "x")], TypeError, "list"),
        ({1: "x"}, TypeError, r"static_files\[1\]"),
        ({b"/": "x"}, TypeError, r"static_files\[b'/'\]"),
        ({"static": "x"}, ValueError, r"static_files\['static'\]"),
        ({"/a//b": "x"}, ValueError, "/a//b"),
        ({"//": "x"}, ValueError, "//"),
        ({"/a/../b": "x"}, ValueError, r"/a/\.\./b"),
        ({"/./b": "x"}, ValueError, r"/\./b"),
        ({"/a\\b": "x"}, ValueError, "/a"),
        ({"/a\0": "x"}, ValueError, "/a"),
        ({"/c:/x": "x"}, ValueError, "/c:/x"),
        ({"/": None}, TypeError, r"static_files\['/'\].*NoneType"),
        ({"/": b"x"}, TypeError, r"static_files\['/'\].*bytes"),
        ({"/": ["x"]}, TypeError, r"static_files\['/'\].*list"),
        ({"/": ""}, ValueError, r"static_files\['/'\]"),
        ({"/": "a\0b"}, ValueError, r"static_files\['/'\].*NUL"),
        ({"/": {}}, ValueError, r"static_files\['/'\].*'filename'"),
        ({"/": {"content_type": "a/b"}}, ValueError, r"static_files\['/'\].*'filename'"),
        ({"/": {"filename": None}}, TypeError, r"static_files\['/'\]"),
        ({"/": {"filename": "x", "content-type": "a/b"}}, ValueError, r"static_files\['/'\].*'content-type'"),
        ({"/": {"filename": "x", "content_type": 7}}, TypeError, r"static_files\['/'\].*'content_type'"),
        ({"/": {"filename": "x", "content_type": ""}}, ValueError, "content_type"),
        ({"/": {"filename": "x", "content_type": "a/b\r\nX: y"}}, ValueError, "content_type"),
        ({"/": {"filename": "x", "content_type": "a/b\n"}}, ValueError, "content_type"),
        ({"/": {"filename": "x", "content_type": "ä/b"}}, ValueError, "content_type"),
        ({"": "../x"}, ValueError, r"static_files\[''\]"),
        ({"": "/x"}, ValueError, r"static_files\[''\]"),
        ({"": "x/"}, ValueError, r"static_files\[''\]"),
        ({"": "."}, ValueError, r"static_files\[''\]"),
        ({"": ""}, ValueError, r"static_files\[''\]"),
        ({"": {"content_type": "a/b"}}, ValueError, r"static_files\[''\].*'filename'"),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_name_of_the_key(mapping, error, named):
    with pytest.raises(error, match=named):
        StaticFiles(mapping)
