"""Cases of background tasks, each run in a process of its own: `python -m tasks.program MODEL CASE`.

A case is a function that gets a `Bench` and asserts. It runs in the main thread or greenlet; what it gives to `Bench.in_worker`
runs in one of the driver's workers, as a message handler does. Owns no knowledge of how a driver runs tasks.
"""

from __future__ import annotations

import contextvars
import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 20.0
MODELS = ("threading", "gevent", "gevent-patched", "eventlet", "eventlet-patched")


class Bench:
    """A server that serves nobody, and what the cases need of its model."""

    def __init__(self, model: str) -> None:
        if model == "gevent-patched":
            from gevent import monkey

            monkey.patch_all()
        elif model == "eventlet-patched":
            import eventlet

            eventlet.monkey_patch()
        import engineio_green

        self.model = model.removesuffix("-patched")
        self.patched = model.endswith("-patched")
        self.server: Any = engineio_green.Server(async_mode=self.model)
        self.start = self.server.start_background_task
        self.logged: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = self.logged.append  # type: ignore[method-assign]
        logging.getLogger("engineio_green").addHandler(handler)

    def in_worker(self, function: Callable[[], Any]) -> None:
        """Let a worker call *function*; returns at once."""
        self.server.driver.run_soon(_Job(function))

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Let others run until *condition* holds."""
        end = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
            self.server.sleep(0.005)
        return value

    def local(self) -> Any:
        """An object that keeps values for each thread, or each greenlet."""
        if self.model == "gevent":
            from gevent.local import local
        elif self.model == "eventlet":
            from eventlet.corolocal import local
        else:
            from threading import local
        return local

    def both_ways(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run *function* as a task that this thread starts, then as one that a worker starts; wait for each."""
        self.start(function, *arguments).join()
        tasks: list[Any] = []
        self.in_worker(lambda: tasks.append(self.start(function, *arguments)))
        self.wait_until(lambda: tasks and not tasks[0].is_alive(), "the end of a worker's task")


class _Job:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.run = function

    def on_blocked(self) -> None:
        """The rest of a client's work would go on elsewhere; there is none."""


# --- every model -----------------------------------------------------------------------------------------------------------


def join_waits_for_the_end_or_for_its_timeout(bench: Bench) -> None:
    event = bench.server.create_event()
    task = bench.start(event.wait)
    task.join(0.01)
    assert task.is_alive()
    event.set()
    task.join()
    assert not task.is_alive()
    task.join()  # of one that has ended long ago


def arguments_are_passed_on(bench: Bench) -> None:
    got: list[Any] = []
    bench.both_ways(lambda *args, **kwargs: got.append((args, kwargs)), 1, "two")
    bench.start(lambda *args, **kwargs: got.append((args, kwargs)), 3, four=4).join()
    assert got == [((1, "two"), {}), ((1, "two"), {}), ((3,), {"four": 4})]


def an_error_is_logged_and_harms_no_other_task(bench: Bench) -> None:
    def fail() -> None:
        raise LookupError("mine")

    bench.both_ways(fail)
    failures = [record for record in bench.logged if record.exc_info and record.exc_info[0] is LookupError]
    assert len(failures) == 2, bench.logged
    assert all(record.levelno == logging.ERROR for record in failures)
    done: list[int] = []
    bench.both_ways(done.append, 1)
    assert done == [1, 1]


def an_exit_ends_the_task_alone_on_threads(bench: Bench) -> None:
    if bench.model != "threading":
        return  # where it ends the program, as in any other greenlet
    bench.both_ways(sys.exit, "mine")
    assert bench.logged == []


def each_has_a_context_of_its_own(bench: Bench) -> None:
    variable = contextvars.ContextVar("variable", default="nothing")
    seen: list[str] = []

    def look_and_set() -> None:
        seen.append(variable.get())
        variable.set("a task's")

    variable.set("the main program's")
    for _ in range(3):
        bench.both_ways(look_and_set)

    def handler() -> None:
        variable.set("a handler's")
        bench.start(look_and_set)

    bench.in_worker(handler)
    bench.wait_until(lambda: len(seen) == 7, "seven looks")
    assert set(seen) == {"nothing"}


def what_one_keeps_for_its_thread_the_next_does_not_find(bench: Bench) -> None:
    class Counted:
        alive = 0

        def __init__(self) -> None:
            Counted.alive += 1

        def __del__(self) -> None:
            Counted.alive -= 1

    class Local(bench.local()):  # type: ignore[misc]
        def __init__(self) -> None:
            self.made = 1

    local, special = bench.local()(), Local()
    found: list[Any] = []

    def look_and_set() -> None:
        found.append((getattr(local, "value", None), special.made))
        local.value = Counted()
        special.made += 1

    def handler() -> None:
        for _ in range(10):
            bench.start(look_and_set)

    for _ in range(10):
        bench.start(look_and_set).join()
        bench.in_worker(handler)
    bench.wait_until(lambda: len(found) == 110, "all tasks")
    assert set(found) == {(None, 1)}
    assert not hasattr(local, "value")  # eventlet's keeps the values of whoever looked last, whatever has become of it
    bench.wait_until(lambda: gc.collect() is not None and Counted.alive == 0, "the end of what was kept")


def many_in_a_row_use_few_threads_and_greenlets(bench: Bench) -> None:
    used: set[Any] = set()
    done: list[int] = []

    def task() -> None:
        used.add(_identity(bench))
        done.append(1)

    def handler() -> None:
        for _ in range(100):
            bench.start(task)

    threads = threading.active_count()
    for number in range(20):
        bench.in_worker(handler)
        bench.wait_until(lambda wanted=100 * (number + 1): len(done) == wanted, "a hundred tasks")
    for _ in range(200):
        bench.start(task).join()
    assert len(done) == 2200
    assert len(used) <= 40, len(used)  # on a busy machine a worker may look stuck, and another goes on
    assert threading.active_count() - threads <= 40


def no_number_of_blocked_ones_keeps_the_next_from_running(bench: Bench) -> None:
    event = bench.server.create_event()
    begun: list[int] = []

    def block(number: int) -> None:
        begun.append(number)
        event.wait()

    def handler() -> None:
        for number in range(250):
            bench.start(block, number)

    for number in range(50):
        bench.start(block, number)
    bench.in_worker(handler)
    bench.wait_until(lambda: len(begun) == 300, "the beginning of 300 tasks that block")
    done: list[int] = []
    began = time.monotonic()
    bench.both_ways(done.append, 1)
    assert done == [1, 1]
    assert time.monotonic() - began < 5
    answered: list[int] = []
    bench.in_worker(lambda: answered.append(1))
    bench.wait_until(lambda: answered, "a handler beside 300 tasks that block")
    event.set()
    bench.wait_until(lambda: threading.active_count() < 150, "the end of the threads that are too many")


def those_of_one_handler_start_in_order_and_after_it(bench: Bench) -> None:
    order: list[Any] = []

    def handler() -> None:
        for number in range(100):
            bench.start(order.append, number)
        order.append("handler")

    bench.in_worker(handler)
    bench.wait_until(lambda: len(order) == 101, "all tasks")
    assert order == ["handler", *range(100)]


def a_handler_may_wait_for_a_task_that_it_has_started(bench: Bench) -> None:
    done: list[str] = []

    def handler() -> None:
        bench.start(done.append, "task").join()
        done.append("handler")

    bench.in_worker(handler)
    bench.wait_until(lambda: len(done) == 2, "the handler")
    assert done == ["task", "handler"]


def a_task_may_start_others_and_wait_for_them(bench: Bench) -> None:
    done: list[int] = []

    def task(depth: int) -> None:
        if depth:
            bench.start(task, depth - 1).join()
        done.append(depth)

    bench.both_ways(task, 5)
    assert done == [0, 1, 2, 3, 4, 5] * 2


def one_that_starts_itself_again_keeps_nobody_from_running(bench: Bench) -> None:
    rounds: list[int] = []
    over: list[int] = []

    def again() -> None:
        rounds.append(1)
        if not over and len(rounds) < 1_000_000:
            bench.start(again)

    bench.in_worker(lambda: bench.start(again))
    bench.wait_until(lambda: len(rounds) > 100, "a hundred rounds")
    bench.server.sleep(0.05)
    over.append(1)
    assert len(rounds) < 1_000_000


def an_endless_one_does_not_keep_the_program_from_ending(bench: Bench) -> None:
    def endless() -> None:
        while True:
            bench.server.sleep(0.01)

    bench.start(endless)
    bench.in_worker(lambda: bench.start(endless))
    bench.server.sleep(0.2)


def one_started_in_a_foreign_thread_runs(bench: Bench) -> None:
    if bench.patched:
        return  # where there are no foreign threads to speak of
    done: list[int] = []

    def elsewhere() -> None:
        bench.start(done.append, 1).join()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    bench.wait_until(lambda: done, "a task of another thread")
    thread.join(PATIENCE)
    assert not thread.is_alive()


def a_task_of_a_forked_child_runs(bench: Bench) -> None:
    if bench.model != "threading":
        return  # the hub of a child is the business of its library
    import os

    bench.both_ways(int)
    reading, writing = os.pipe()
    child: list[int] = []

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            try:
                done: list[int] = []
                bench.start(done.append, 1)
                bench.wait_until(lambda: done, "a task in the child")
                bench.in_worker(lambda: bench.start(done.append, 2))
                bench.wait_until(lambda: len(done) == 2, "a worker's task in the child")
                os.write(writing, b"!")
            finally:
                os._exit(0)
        child.append(pid)

    bench.in_worker(fork)  # in the child, the worker's thread is the main one
    bench.wait_until(lambda: child, "the fork")
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.waitpid(child[0], 0)


def shutdown_lets_the_threads_go_and_what_comes_after_it_starts_others(bench: Bench) -> None:
    import os

    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    threads, open_before = threading.active_count(), 0
    for round_ in range(5):
        bench.both_ways(int)
        event = bench.server.create_event()
        tasks = [bench.start(event.wait) for _ in range(5)]
        bench.server.shutdown()
        assert not any(task.done for task in tasks)
        done: list[int] = []
        bench.both_ways(done.append, 1)
        assert done == [1, 1]
        event.set()
        for task in tasks:
            task.join()
        bench.server.shutdown()
        bench.wait_until(lambda: threading.active_count() <= threads, f"the end of all threads: {threading.enumerate()}")
        if round_ == 1:
            open_before = descriptors()
    assert descriptors() <= open_before


# --- what the models' own users expect ---------------------------------------------------------------------------------------


def threads_tell_what_a_thread_tells(bench: Bench) -> None:
    if bench.model != "threading":
        return
    event = threading.Event()
    failed: list[BaseException] = []

    def wait_for_itself(task: list[Any]) -> None:
        event.wait()
        try:
            task[0].join()
        except RuntimeError as exc:
            failed.append(exc)

    holder: list[Any] = []
    task = bench.start(wait_for_itself, holder)
    holder.append(task)
    bench.wait_until(lambda: task.ident is not None, "its thread")
    assert task.daemon
    assert task.name == "wait_for_itself"
    event.set()
    task.join()
    assert len(failed) == 1


def gevent_takes_it_for_a_greenlet(bench: Bench) -> None:
    if bench.model != "gevent":
        return
    import gevent

    def double(number: int) -> int:
        gevent.sleep(0.01)
        return 2 * number

    tasks = [bench.start(double, number) for number in range(3)]
    assert all(tasks)
    assert all(task.started and not task.ready() and not task.dead for task in tasks)
    assert gevent.joinall(tasks, timeout=PATIENCE) == tasks
    assert [task.value for task in tasks] == [task.get() for task in tasks] == [0, 2, 4]
    assert all(task.ready() and task.successful() and task.dead and not task for task in tasks)

    failing = bench.start(int, "no number")
    linked: list[Any] = []
    failing.link(linked.append)
    failing.link_exception(linked.append)
    failing.link_value(linked.append)
    failing.join()
    assert isinstance(failing.exception, ValueError)
    assert not failing.successful()
    try:
        failing.get()
    except ValueError:
        linked.append("raised")
    bench.wait_until(lambda: len(linked) == 3, "links")
    assert linked.count(failing) == 2
    late: list[Any] = []
    failing.link(late.append)
    bench.wait_until(lambda: late == [failing], "a link to what has ended")

    endless = [bench.start(gevent.sleep, 1000) for _ in range(3)]
    try:
        endless[0].get(timeout=0.01)
    except gevent.Timeout:
        late.append("timeout")
    assert late[1:] == ["timeout"]
    gevent.sleep(0)
    endless[0].kill()
    gevent.killall(endless[1:], timeout=PATIENCE)
    assert all(task.dead and isinstance(task.value, gevent.GreenletExit) for task in endless)
    before = bench.start(late.append, "never")
    before.kill()
    gevent.sleep(0.01)
    assert before.dead
    assert "never" not in late
    raising = bench.start(gevent.sleep, 1000)
    gevent.sleep(0)
    raising.kill(LookupError)
    assert isinstance(raising.exception, LookupError)
    with gevent.Timeout(PATIENCE):
        gevent.wait([bench.start(double, 1)])


def eventlet_takes_it_for_a_green_thread(bench: Bench) -> None:
    if bench.model != "eventlet":
        return
    import eventlet

    def double(number: int) -> int:
        eventlet.sleep(0.01)
        return 2 * number

    task = bench.start(double, 2)
    linked: list[Any] = []
    task.link(lambda *args, **kwargs: linked.append((args, kwargs)), "more", key=1)
    assert task.wait() == 4
    bench.wait_until(lambda: linked == [((task, "more"), {"key": 1})], "the link")
    endless = bench.start(eventlet.sleep, 1000)
    eventlet.sleep(0)
    endless.kill()
    assert endless.dead
    cancelled = bench.start(linked.append, "never")
    cancelled.cancel()
    eventlet.sleep(0.01)
    assert linked == [((task, "more"), {"key": 1})]
    try:
        bench.start(eventlet.sleep, 1000).get(timeout=0.01)
    except eventlet.Timeout:
        return
    raise AssertionError("no timeout")


def _identity(bench: Bench) -> Any:
    if bench.model == "threading":
        return threading.get_ident()
    from greenlet import getcurrent

    return id(getcurrent())


CASES = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__module__", None) == __name__ and name[0] != "_" and name != "Bench"
}

if __name__ == "__main__":
    CASES[sys.argv[2]](Bench(sys.argv[1]))
    print("passed")
