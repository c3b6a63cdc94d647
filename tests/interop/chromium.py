"""A headless Chromium, driven over its DevTools protocol (one websocket, JSON both ways).

Owns the browser's process and its throw-away profile. Knows how to open a page and to evaluate an expression in it; knows
nothing of Engine.IO. Only long-standing parts of the protocol are used (Target, Runtime, Page), so any Chromium of the last
years will do, and no driver package has to match its version. One thread only: whoever waits for an answer reads the socket
for everybody.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import websocket
from children import die_with_parent

START_SECONDS = 60.0
COMMAND_SECONDS = 20.0

FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium's sandbox does not run as root, and CI is root
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in a container
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-timer-throttling",  # the page under test is not in front: its timers must run all the same
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--password-store=basic",
    "--use-mock-keychain",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
)


class BrowserError(Exception):
    """Chromium did not start, did not answer in time, or answered with an error."""


class Browser:
    """One running Chromium. Pages live in contexts of their own: no cookies, cache or connections in common."""

    def __init__(self, executable: str, folder: Path) -> None:
        self._log_path = folder / "chromium.log"
        self._profile = tempfile.TemporaryDirectory(prefix="interop-chromium-", ignore_cleanup_errors=True)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [executable, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        self._answers: dict[int, dict[str, Any]] = {}
        self._complaints: dict[str, list[str]] = {}
        self._last_id = 0
        try:
            # Chromium refuses a DevTools socket that carries the Origin of a web page, and the client library would invent one.
            self._socket = websocket.create_connection(
                self._wait_for_address(), timeout=COMMAND_SECONDS, suppress_origin=True, http_no_proxy=["127.0.0.1"]
            )
        except BaseException:
            self._process.kill()
            raise

    def _wait_for_address(self) -> str:
        """Where the DevTools socket listens; Chromium writes that into its profile once it is up."""
        written = Path(self._profile.name) / "DevToolsActivePort"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BrowserError(f"Chromium ended with {self._process.returncode}:\n{self._log()}")
            lines = written.read_text().split() if written.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        raise BrowserError(f"Chromium was not up within {START_SECONDS:g} s:\n{self._log()}")

    def _log(self) -> str:
        return self._log_path.read_text(errors="replace")[-3000:]

    def send(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> int:
        """Send a command; the number returned is for `wait_for_answer`."""
        self._last_id += 1
        command: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters or {}}
        if session is not None:
            command["sessionId"] = session
        self._socket.send(json.dumps(command))
        return self._last_id

    def wait_for_answer(self, number: int, seconds: float = COMMAND_SECONDS) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while number not in self._answers:
            self._read_one(max(0.01, deadline - time.monotonic()))
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"Chromium refused a command: {answer['error']}")
        return dict(answer["result"])

    def call(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        return self.wait_for_answer(self.send(method, parameters, session))

    def _read_one(self, seconds: float) -> None:
        self._socket.settimeout(seconds)
        try:
            heard = json.loads(self._socket.recv())
        except websocket.WebSocketTimeoutException:
            raise BrowserError("Chromium did not answer in time")
        if "id" in heard:
            self._answers[heard["id"]] = heard
        elif heard["method"] == "Runtime.exceptionThrown":
            details = heard["params"]["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details["text"]
            self._complaints.setdefault(heard.get("sessionId", ""), []).append(text)

    def open_page(self, url: str) -> Page:
        """A new page on `url`, loaded and ready for `runCase`."""
        context = self.call("Target.createBrowserContext", {"disposeOnDetach": True})["browserContextId"]
        target = self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, context, target, session)
        self.call("Runtime.enable", session=session)
        went = self.call("Page.navigate", {"url": url}, session)
        if "errorText" in went:
            raise BrowserError(f"Chromium could not open {url}: {went['errorText']}")
        page.wait_until_loaded()
        return page

    def complaints(self, session: str) -> list[str]:
        """Exceptions that nothing in that page has caught."""
        return self._complaints.get(session, [])

    def close(self) -> None:
        try:
            self.call("Browser.close")
            self._socket.close()
            self._process.wait(10)
        except (BrowserError, OSError, websocket.WebSocketException, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()


class Page:
    """One tab of the browser."""

    def __init__(self, browser: Browser, context: str, target: str, session: str) -> None:
        self._browser = browser
        self._context = context
        self._target = target
        self._session = session
        self._closed = False

    def wait_until_loaded(self) -> None:
        """Until the page's module has run; the reason that it has not is an exception in the page."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while self.evaluate("typeof window.runCase") != "function":
            if time.monotonic() > deadline:
                raise BrowserError(f"the page did not load; exceptions in it: {self.exceptions()}")
            time.sleep(0.02)

    def start(self, expression: str) -> int:
        """Begin to evaluate `expression`, a promise included; `result` waits for it."""
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        return self._browser.send("Runtime.evaluate", parameters, self._session)

    def result(self, number: int, seconds: float = COMMAND_SECONDS) -> Any:
        answer = self._browser.wait_for_answer(number, seconds)
        if "exceptionDetails" in answer:
            raise BrowserError(f"an exception in the page: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def evaluate(self, expression: str) -> Any:
        return self.result(self.start(expression))

    def exceptions(self) -> list[str]:
        return self._browser.complaints(self._session)

    def close(self) -> None:
        """Close the tab, as a user would, and forget its context."""
        if self._closed:
            return
        self._closed = True
        self._browser.call("Target.closeTarget", {"targetId": self._target})
        self._browser.call("Target.disposeBrowserContext", {"browserContextId": self._context})
