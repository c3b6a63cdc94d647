"""The demo: a page that talks to its server over polling and websocket side by side, and draws how long that takes.

Owns the page's files; `application.py` is the server behind the page, `hosts.py` the web server that runs it on each
concurrency model, `command.py` the command line. Nothing of the library imports the demo.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
CLIENT_SCRIPT = FOLDER / "engineio.js"
"""A small Engine.IO client for browsers, enough for examples without a download: `import { EngineIO } from ...`."""

STATIC_FILES = {
    "/": str(FOLDER / "page.html"),
    "/page.css": str(FOLDER / "page.css"),
    "/demo.js": str(FOLDER / "demo.js"),
    "/chart.js": str(FOLDER / "chart.js"),
    "/engineio.js": str(CLIENT_SCRIPT),
}
