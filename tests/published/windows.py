"""Windows of a real Chromium that a person uses: the mouse, the keyboard, and what they say to the server.

Owns clicking and typing as the browser gets it from its user, what goes over the wire as its developer tools show it, and the
rule that no request leaves this machine: what a page wants from elsewhere comes from a file, or not at all. Knows nothing of
any application.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browser import PATIENCE, Tab
from interop.chromium import Browser, BrowserError
from scenarios.waiting import wait_until

ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
# The middle of the first element that fits, once nothing lies over it.
MIDDLE = """(() => {
    const element = %s;
    if (!element) return null;
    element.scrollIntoView({block: 'center', behavior: 'instant'});
    const {left, top, width, height} = element.getBoundingClientRect();
    const x = left + width / 2, y = top + height / 2;
    const hit = document.elementFromPoint(x, y);
    return width && hit && (element.contains(hit) || hit.contains(element)) ? [x, y] : null;
})()"""


@dataclass
class Wire:
    """What one window has exchanged with its server, as far as it is Engine.IO. Frames are those of websockets."""

    polls: list[str] = field(default_factory=list)
    websockets: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    @property
    def upgrades(self) -> int:
        """How many sessions have gone from polling to websocket: asked, answered and carried out."""
        return min(self.sent.count("2probe"), self.received.count("3probe"), self.sent.count("5"))

    def has_received(self, text: str) -> bool:
        """Whether a text has come by websocket."""
        return any(text in frame for frame in self.received)

    def note(self, method: str, parameters: Mapping[str, Any]) -> None:
        """Take in an event of the browser's developer tools."""
        if method == "Network.webSocketCreated" and _transport(parameters["url"]):
            self.websockets.append(parameters["url"])
        elif method == "Network.webSocketFrameSent":
            self.sent.append(parameters["response"]["payloadData"])
        elif method == "Network.webSocketFrameReceived":
            self.received.append(parameters["response"]["payloadData"])
        elif method == "Network.responseReceived" and _transport(parameters["response"]["url"]) == "polling":
            assert parameters["response"]["status"] == 200, parameters["response"]
            self.polls.append(parameters["response"]["url"])


def _transport(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("transport", [""])[0]


class Watched:
    """The developer tools' socket, with somebody who sees every event that comes."""

    def __init__(self, socket: Any, see: Callable[[dict[str, Any]], None]) -> None:
        self._socket = socket
        self._see = see

    def recv(self) -> Any:
        """Return the next text, after it has been seen."""
        text = self._socket.recv()
        heard = json.loads(text)
        if "method" in heard:
            self._see(heard)
        return text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class LocalBrowser(Browser):
    """A Chromium that loads nothing from other machines, and tells what its windows exchange with their servers."""

    def __init__(self, executable: str, folder: Path) -> None:
        super().__init__(executable, folder)
        self.wires: dict[str, Wire] = {}
        self.files: dict[str, Mapping[str, Path]] = {}
        self._socket = Watched(self._socket, self._see)

    def _see(self, event: dict[str, Any]) -> None:
        session = event.get("sessionId", "")
        if event["method"] == "Fetch.requestPaused":
            self._answer(session, event["params"])
        elif event["method"] == "Page.javascriptDialogOpening":
            self.send("Page.handleJavaScriptDialog", {"accept": True}, session)  # "Leave this page?"
        elif session in self.wires:
            self.wires[session].note(event["method"], event["params"])

    def _answer(self, session: str, request: dict[str, Any]) -> None:
        path = urlsplit(request["request"]["url"]).path
        file = self.files[session].get(path)
        if file is None:
            self.send("Fetch.failRequest", {"requestId": request["requestId"], "errorReason": "InternetDisconnected"}, session)
            return
        headers = [{"name": "Content-Type", "value": mimetypes.guess_type(path)[0]}]
        body = base64.b64encode(file.read_bytes()).decode()
        answer = {"requestId": request["requestId"], "responseCode": 200, "responseHeaders": headers, "body": body}
        self.send("Fetch.fulfillRequest", answer, session)


class Window(Tab):
    """One user's window. *files* are what its page wants from elsewhere, by the paths of their addresses."""

    def __init__(self, browser: LocalBrowser, files: Mapping[str, Path] | None = None) -> None:
        super().__init__(browser)
        self.wire = browser.wires[self._session] = Wire()
        browser.files[self._session] = files or {}
        self._call("Page.enable")
        self._call("Network.enable")
        self._call("Fetch.enable", patterns=[{"urlPattern": "https://*"}])  # servers of these tests have no TLS
        self.resize(1200, 900)

    def evaluate(self, expression: str) -> Any:
        """What it is now; nothing while one page makes room for another."""
        try:
            return super().evaluate(expression)
        except BrowserError as error:
            if "navigated" in str(error) or "destroyed" in str(error):
                return None
            raise

    def reload(self) -> None:
        """Load the page again."""
        self.evaluate("window.isOld = true")
        self._call("Page.reload")
        self.wait_until("!window.isOld && document.readyState === 'complete'")

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector finds, once it is there to be clicked."""
        self._click(f"document.querySelector({json.dumps(selector)})")

    def click_text(self, text: str) -> None:
        """Click the first element that has a text and nothing else, once it is there to be clicked."""
        has_it = f"(e) => !e.children.length && e.textContent.trim() === {json.dumps(text)}"
        self._click(f"[...document.body.querySelectorAll('*')].find({has_it})")

    def _click(self, element: str) -> None:
        x, y = self.wait_until(MIDDLE % element)
        spot = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self._call("Input.dispatchMouseEvent", type="mousePressed", **spot)
        self._call("Input.dispatchMouseEvent", type="mouseReleased", **spot)

    def wait_for_text(self, text: str) -> None:
        """Return as soon as the page shows *text*."""
        self.wait_until(f"document.body?.innerText.includes({json.dumps(text)})")

    def wait_for_upgrade(self, number: int = 1) -> None:
        """Return when this window has gone from polling to websocket so many times: once, and again after a reload."""
        # The browser tells of its network when it is asked anything.
        wait_until(lambda: self.evaluate("true") and self.wire.upgrades >= number, f"upgrade {number}: {self.wire}", PATIENCE)

    def type(self, text: str) -> None:
        """Press the keys of a text, one after the other."""
        for character in text:
            key = ENTER if character == "\n" else {"key": character, "text": character}
            self._call("Input.dispatchKeyEvent", type="keyDown", **key)
            self._call("Input.dispatchKeyEvent", type="keyUp", **{name: key[name] for name in key if name != "text"})
