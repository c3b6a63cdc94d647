"""Directory rules never give away what lies outside of their directory, nor anything but regular files."""

import errno
import gc
import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engineio_green.static_files import StaticFiles

SECRET = b"secret"

# A file that is only closed because nobody refers to it any more is a leak.
pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """`public` is the root of the rule; whatever holds `SECRET` lies outside. No descriptor may be left open."""
    for directory in ("public/sub/deep", "public-2", "outside"):
        (tmp_path / directory).mkdir(parents=True)
    for name in ("public/a.txt", "public/sub/b.txt", "public/sub/deep/c.txt", "public/index.html"):
        (tmp_path / name).write_bytes(b"public")
    for name in ("secret.txt", "outside/secret.txt", "outside/index.html", "public-2/secret.txt"):
        (tmp_path / name).write_bytes(SECRET)
    monkeypatch.chdir(tmp_path)
    gc.collect()  # what other tests have left behind
    before = os.listdir("/dev/fd")
    yield tmp_path
    assert len(os.listdir("/dev/fd")) <= len(before)


def read(path, mapping=None):
    response = StaticFiles(mapping or {"/s": "public"}).respond("GET", path, {})
    return None if response is None else b"".join(response.body)


# -- paths --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/s/../secret.txt", "/s/sub/../../secret.txt", "/s/..", "/s/../", "/s/.", "/s/./a.txt", "/s/sub/../a.txt",
        "/s/../public/a.txt", "/../secret.txt", "/s/..\\secret.txt", "/s\\..\\secret.txt", "/s/sub\\b.txt", "/s/\\etc\\passwd",
        "/s//secret.txt", "/s//a.txt", "//s/a.txt", "/s//etc/passwd", "/s///", "/s/a.txt\0", "/s/a.txt\0.html", "/s/\0",
        "/s/C:/secret.txt", "/s/c:secret.txt", "/C:/s/a.txt", "/s/sub//", "s/a.txt", "", "s", "../secret.txt",
        "/s/...", "/s/%2e%2e/secret.txt", "/s/..%2fsecret.txt", "/s/%252e%252e/secret.txt", "/s/..;/secret.txt",
        "/s/\uff0e\uff0e/secret.txt", "/s/\u2024\u2024/secret.txt", "/s/\udc2e\udc2e/secret.txt", "/s/\ud800", "/s-2/secret.txt",
        "/s/-2/secret.txt", "/s/a.txt/", "/s/a.txt/../../secret.txt", "/s/~root", "/s/~/a.txt", "/s/a.txt::$DATA",
        "/s/" + "a" * 300, "/s/" + "a/" * 3000, "/" * 5000, "/s/" + "sub/../" * 500 + "a.txt",
    ],
)  # fmt: skip
@pytest.mark.parametrize("root", ["public", "./public/", "sub/../public"])
def test_no_spelling_of_a_path_leads_out_or_raises(path, root, site):
    (site / "sub").mkdir()
    assert read(path, {"/s": root}) is None


def test_encoded_dots_that_remain_are_a_literal_name(site):
    (site / "public/%2e%2e").mkdir()
    (site / "public/%2e%2e/secret.txt").write_bytes(b"public")
    assert read("/s/%2e%2e/secret.txt") == b"public"


def test_names_that_only_look_like_dots_are_names(site):
    for name in ("...", "..a", "a..", ".hidden", "a b", "ab:c", "-", "~", "$HOME", "*", "a\nb"):
        (site / "public" / name).write_bytes(b"public")
        assert read("/s/" + name) == b"public"


def test_a_name_with_a_drive_is_refused_even_if_it_exists(site):
    (site / "public/C:x").write_bytes(b"public")
    assert read("/s/C:x") is None


PIECES = [
    "..",
    ".",
    "",
    "s",
    "sub",
    "a.txt",
    "secret.txt",
    "outside",
    "out",
    "in",
    "loop",
    "up",
    "\0",
    "\\",
    "C:",
    "%2e%2e",
    "\ud800",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=8))
@example(["in", "in", "b.txt"])
def test_no_path_whatever_reads_a_secret(site, pieces):
    for name, target in (("out", "../outside"), ("in", "sub"), ("loop", "."), ("up", "..")):
        if not os.path.lexists(site / "public" / name):
            os.symlink(target, site / "public" / name)
    assert read("/s/" + "/".join(pieces)) in (None, b"public")


# -- links --------------------------------------------------------------------------------------------------------------


def link(site, name, target):
    path = site / "public" / name
    path.symlink_to(target)
    return path


def test_links_that_stay_inside_are_followed(site):
    link(site, "file", "a.txt")
    link(site, "directory", "sub")
    link(site, "sub/upward", "../a.txt")
    link(site, "absolute", site / "public/sub/b.txt")
    link(site, "chain", "directory/deep")
    link(site, "around", "../public/sub/b.txt")
    link(site, "here", ".")
    urls = (
        "file",
        "directory/b.txt",
        "sub/upward",
        "absolute",
        "chain/c.txt",
        "around",
        "here/here/a.txt",
        "here/",
        "here/chain/c.txt",
    )
    for url in urls:
        assert read("/s/" + url) == b"public", url


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("../secret.txt", "x"),
        ("../outside", "x/secret.txt"),
        ("../outside", "x/"),
        ("..", "x/secret.txt"),
        ("/etc/passwd", "x"),
        ("/", "x/etc/passwd"),
        ("sub/../../secret.txt", "x"),
        ("../public-2/secret.txt", "x"),
        ("../public-2", "x/secret.txt"),
        ("/proc/self/cwd/secret.txt", "x"),
        ("/proc/self/root", "x/etc/passwd"),
        ("/dev/fd/0", "x"),
    ],
)
def test_links_that_leave_the_directory_are_refused(site, target, url):
    link(site, "x", target)
    assert read("/s/" + url) is None


def test_a_chain_of_links_counts_where_it_ends(site):
    (site / "outside/back").symlink_to(site / "public/a.txt")
    link(site, "detour", "../outside/back")
    link(site, "first", "second")
    link(site, "second", "../secret.txt")
    assert read("/s/detour") == b"public"
    assert read("/s/first") is None


def test_a_link_outwards_never_gives_the_file_of_the_same_name_inside(site):
    (site / "hidden").mkdir()
    (site / "hidden/a.txt").write_bytes(SECRET)
    link(site, "x", "../hidden/a.txt")
    assert read("/s/x") is None


@pytest.mark.parametrize("target", ["x", "nothing", "./x/x", "sub/x"])
def test_links_to_themselves_and_to_nothing_are_no_files(site, target):
    link(site, "x", target)
    assert read("/s/x") is None
    assert read("/s/x/a.txt") is None


def test_the_root_and_single_files_may_be_links_as_the_mapping_says(site):
    (site / "current").symlink_to("public")
    (site / "page").symlink_to("outside/index.html")
    link(site, "out", "../outside")
    link(site, "in", site / "current/a.txt")
    assert read("/s/a.txt", {"/s": "current"}) == b"public"
    assert read("/s/in", {"/s": "current"}) == b"public"
    assert read("/s/out/secret.txt", {"/s": "current"}) is None
    assert read("/page", {"/page": "page"}) == SECRET


def test_the_whole_disk_as_a_root_serves_links_too(site):
    link(site, "x", "a.txt")
    assert read(f"/s{site}/public/x", {"/s": "/"}) == b"public"


def test_a_default_file_that_is_a_link_outwards_is_refused(site):
    link(site, "sub/index.html", "../../secret.txt")
    assert read("/s/sub/") is None
    assert read("/s/", {"/s": "public", "": "sub/index.html"}) is None


def test_a_default_file_of_an_exact_directory_rule_is_contained(site):
    (site / "public/index.html").unlink()
    link(site, "index.html", "../secret.txt")
    for directory in ("public", "public/"):
        assert read("/s/", {"/s/": directory}) is None


def test_a_directory_swapped_for_a_link_during_requests_never_leads_out(site):
    """A thread swaps `x` between a directory and a link outwards as fast as it can while requests walk through it."""
    inside, outside, spot = site / "public/in", site / "public/out", site / "public/x"
    inside.mkdir()
    (inside / "secret.txt").write_bytes(b"public")
    outside.symlink_to("../outside")
    done = threading.Event()
    deadline = time.monotonic() + 30

    def swap():
        while not done.is_set():
            for source in (inside, outside):
                os.rename(source, spot)
                os.rename(spot, source)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        seen = {read("/s/x/secret.txt") for _ in range(4000)}
        while b"public" not in seen and time.monotonic() < deadline:
            seen.add(read("/s/x/secret.txt"))
    finally:
        done.set()
        swapper.join()
    assert b"public" in seen
    assert seen <= {None, b"public"}


# -- other things than files --------------------------------------------------------------------------------------------


def test_a_fifo_is_refused_at_once_without_opening_it(site, monkeypatch):
    """`os.open` is listened to, because a FIFO that was opened for a moment looks untouched afterwards."""
    os.mkfifo(site / "public/fifo")
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda name, *rest, **options: opened.append(name) or real(name, *rest, **options))
    assert read("/s/fifo") is None
    assert read("/f", {"/f": "public/fifo"}) is None
    assert opened == ["public"]


def test_a_fifo_that_takes_the_files_place_before_the_opening_does_not_block(site, monkeypatch):
    """The moment between two system calls can't be hit from outside, so that `os.stat` is made to answer for the past."""
    os.mkfifo(site / "public/fifo")
    past, real = os.stat(site / "public/a.txt"), os.stat
    monkeypatch.setattr(os, "stat", lambda name, **options: past if name == "fifo" else real(name, **options))
    assert read("/s/fifo") is None


def test_a_link_that_takes_the_files_place_before_the_opening_is_not_followed(site, monkeypatch):
    """As above: the look is made to see a file, or a directory, where a link outwards is."""
    link(site, "x", "../secret.txt")
    link(site, "d", "../outside")
    file, directory, real = os.stat(site / "public/a.txt"), os.stat(site / "public/sub"), os.stat
    past = {"x": file, "d": directory}
    monkeypatch.setattr(os, "stat", lambda name, **options: past.get(name) or real(name, **options))
    assert read("/s/x") is None
    assert read("/s/d/secret.txt") is None


def test_devices_sockets_and_directories_are_no_files(site):
    assert read("/s/null", {"/s": "/dev"}) is None
    assert read("/tty", {"/tty": "/dev/tty"}) is None
    assert read("/zero", {"/zero": "/dev/zero"}) is None
    assert read("/s/sub") is None
    assert read("/sub", {"/sub": "public/sub"}) is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("public/sock")
        assert read("/s/sock") is None


# -- rights and resources -----------------------------------------------------------------------------------------------


@pytest.fixture
def powerless(site):
    """Without root's power to read everything, for the time of the test."""
    os.chmod(site, 0o755)
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_file_that_may_not_be_read_is_as_if_absent(site, request):
    os.chmod(site / "public/a.txt", 0)
    os.chmod(site / "public/sub", 0)
    request.getfixturevalue("powerless")
    assert read("/s/a.txt") is None
    assert read("/s/sub/b.txt") is None
    assert read("/s/index.html") == b"public"


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="walking through unlisted directories needs O_PATH")
def test_a_directory_that_may_be_searched_but_not_listed_is_walked(site, request):
    os.chmod(site / "public/sub", 0o311)
    os.chmod(site / "public", 0o311)
    request.getfixturevalue("powerless")
    assert read("/s/sub/b.txt") == b"public"


def test_missing_descriptors_are_an_error_and_not_a_missing_file():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    files = StaticFiles({"/s": "public"})
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        with pytest.raises(OSError) as caught:
            files.respond("GET", "/s/a.txt", {})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.errno == errno.EMFILE


def test_a_path_of_nothing_but_links_is_answered_in_bounded_time(site):
    link(site, "l", ".")
    assert read("/s/" + "l/" * 1000 + "a.txt") == b"public"
    assert read("/s/" + "l/" * 4000 + "a.txt") is None


def test_the_root_may_vanish(site):
    assert Path("public").rename("gone").is_dir()
    assert read("/s/a.txt") is None
