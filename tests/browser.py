"""A tab of a real Chromium for the pages that the package and its examples bring along.

Owns opening such a page, waiting for what it shows, the size of the screen and its colours. The browser itself, and how it
is driven, belong to `tests/interop`; what a page should show belongs to the tests.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from interop.chromium import Browser, Page
from interop.toolchain import ToolMissing, find_chromium
from scenarios.waiting import wait_until

PATIENCE = 30.0
FAILED_REQUESTS = "performance.getEntriesByType('resource').filter(({responseStatus}) => responseStatus >= 400)"


class Tab(Page):
    """One tab, in a context of its own: nothing is shared with another tab, as between two users."""

    def __init__(self, browser: Browser) -> None:
        context = browser.call("Target.createBrowserContext", {"disposeOnDetach": True})["browserContextId"]
        target = browser.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = browser.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        super().__init__(browser, context, target, session)
        self._call("Runtime.enable")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, parameters, self._session)

    def open(self, url: str) -> None:
        """Load a page and wait until its scripts have run."""
        answer = self._call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait_until(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def wait_until(self, expression: str, timeout: float = PATIENCE) -> Any:
        """The first true value of a JavaScript expression; what the page shows is told when it never comes."""
        try:
            return wait_until(lambda: self.evaluate(expression), expression, timeout, pause=0.05)
        except AssertionError as error:
            shown = self.evaluate("document.body.innerText")
            raise AssertionError(f"{error}\nexceptions: {self.exceptions()}\nthe page shows:\n{shown}") from None

    def complaints(self) -> list[Any]:
        """Exceptions that nothing has caught, and requests that were refused."""
        return [*self.exceptions(), *self.evaluate(f"{FAILED_REQUESTS}.map(({{name}}) => name)")]

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Take a screen's size and its colour scheme."""
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for the tests of one file."""
    try:
        running = Browser(find_chromium(), tmp_path_factory.mktemp("chromium"))
    except ToolMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield running
    running.close()


@contextmanager
def open_tab(browser: Browser) -> Iterator[Tab]:
    """A tab that is closed with the block."""
    tab = Tab(browser)
    try:
        yield tab
    finally:
        tab.close()
