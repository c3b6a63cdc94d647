"""One asyncio server in this very process, and a look at what it leaves behind.

Owns how servers are started on the running loop. Every test here is a coroutine function; it fails when a task is left over,
when the loop has something to complain about or when more than DEBUG and INFO is logged.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
from collections.abc import Iterator
from typing import Any

import pytest

TIMEOUT = 20


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "expected_log(text): what a logged line may contain")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(_run(pyfuncitem.obj(**arguments)))
    return True


async def _run(test: Any) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    await asyncio.wait_for(test, TIMEOUT)
    for _ in range(50):  # what has been told to end may need a few turns
        gc.collect()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0.02)
    assert not left, f"tasks left: {left}"
    assert not complaints, f"the loop complains: {complaints}"


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing is logged above INFO, but what the test expects: `@pytest.mark.expected_log(text)`."""
    yield
    marks = [mark.args[0] for mark in request.node.iter_markers("expected_log")]
    loud = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert not [text for text in loud if not any(mark in text for mark in marks)], loud
