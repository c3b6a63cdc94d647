"""Run the scenario application on uWSGI: `python -m scenarios.uwsgi_serve PROGRAM ARGUMENTS`.

Owns what all these uWSGIs have in common. Becomes that process, so that signals and the exit code are uWSGI's own.
"""

from __future__ import annotations

import os
import sys

COMMON = (
    *("--master", "--die-on-term", "--single-interpreter", "--need-app", "--gevent", "300", "--listen", "100"),
    *("--module", "scenarios.app:app", "--import", "engineio_green.uwsgi_drain", "--worker-reload-mercy", "5", "--lazy"),
    *("--ignore-sigpipe", "--ignore-write-errors", "--disable-write-exception"),
    *("--hook-master-start", "unix_signal:15 gracefully_kill_them_all"),
    *("--websockets-pong-tolerance", "20", "--websockets-max-size", "2048"),
)

if __name__ == "__main__":
    program, *arguments = map(os.path.expandvars, sys.argv[1:])
    os.execv(program, [program, "--home", sys.prefix, "--pythonpath", os.getcwd(), *COMMON, *arguments])
