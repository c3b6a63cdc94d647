"""The threads behind gunicorn's threaded worker: how many run, when one more is let in, when they end."""

from __future__ import annotations

import threading

import pytest
from scenarios.waiting import wait_until

from engineio_green.workers import pool as pools
from engineio_green.workers.pool import Pool


def names_of_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if isinstance(thread, pools.Thread)]


class Crew:
    """Jobs that run until :meth:`let_go`, and how many of them run."""

    def __init__(self, size: int) -> None:
        self.pool = Pool(size)
        self.running = 0
        self._lock = threading.Lock()
        self._gate = threading.Event()

    def job(self, parks: bool) -> str:
        with self._lock:
            self.running += 1
        thread = threading.current_thread()
        if parks:
            thread.park()
        self._gate.wait(10)
        if parks:
            thread.unpark()
        return "done"

    def start(self, count: int, parks: bool = False) -> list:
        return [self.pool.submit(self.job, parks) for _ in range(count)]

    def wait_for(self, count: int) -> None:
        wait_until(lambda: self.running == count, f"{count} jobs to run")

    def let_go(self) -> None:
        self._gate.set()


def test_as_many_jobs_run_as_there_are_threads_and_the_others_follow():
    crew = Crew(3)
    futures = crew.start(8)
    crew.wait_for(3)
    assert len(names_of_threads()) == 3
    crew.let_go()
    assert [future.result(5) for future in futures] == ["done"] * 8
    crew.pool.shutdown()


def test_a_job_that_is_parked_lets_another_one_in():
    crew = Crew(2)
    waiting = crew.start(20, parks=True)
    working = crew.start(5)
    crew.wait_for(22)
    crew.let_go()
    assert {future.result(5) for future in waiting + working} == {"done"}
    crew.pool.shutdown()


def test_there_is_an_end_to_parking(monkeypatch):
    monkeypatch.setattr(pools, "MOST_PARKED", 3)
    crew = Crew(2)
    futures = crew.start(9, parks=True)
    crew.wait_for(5)
    assert len(names_of_threads()) == 5
    crew.let_go()
    assert {future.result(5) for future in futures} == {"done"}
    crew.pool.shutdown()


def test_threads_with_nothing_to_do_end_and_new_ones_start(monkeypatch):
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.05)
    crew = Crew(2)
    crew.let_go()
    for future in crew.start(20, parks=True):
        assert future.result(5) == "done"
    wait_until(lambda: not names_of_threads(), "the threads to end")
    assert crew.start(1)[0].result(5) == "done"
    crew.pool.shutdown()


def test_many_submitters_lose_no_job():
    pool, futures = Pool(4), []
    submitters = [threading.Thread(target=lambda: futures.extend([pool.submit(int, "7") for _ in range(500)])) for _ in range(4)]
    for thread in submitters:
        thread.start()
    for thread in submitters:
        thread.join()
    assert [future.result(5) for future in futures] == [7] * 2000
    pool.shutdown()


def test_what_a_job_raises_is_in_its_future_and_ends_no_thread():
    pool = Pool(1)
    failed = pool.submit(int, "seven")
    with pytest.raises(ValueError, match="seven"):
        failed.result(5)
    assert isinstance(pool.submit(exit).exception(5), SystemExit)
    assert pool.submit(int, "7").result(5) == 7
    pool.shutdown()


def test_after_its_end_a_pool_does_what_it_has_and_takes_no_more():
    crew = Crew(1)
    futures = crew.start(3)
    crew.pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="takes no more jobs"):
        crew.start(1)
    crew.let_go()
    assert [future.result(5) for future in futures] == ["done"] * 3
    wait_until(lambda: not names_of_threads(), "the threads to end")
