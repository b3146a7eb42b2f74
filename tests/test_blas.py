"""BLAS is kept in one thread while somebody asks for it, and let go afterwards, whoever asked meanwhile."""

import threading

import numpy as np  # noqa: F401 - BLAS has to be there to be limited
import pytest
from threadpoolctl import threadpool_info

from convop.apply.blas import in_one_thread


def threads():
    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)


def test_another_who_stays_longer_leaves_nothing_behind():
    before = threads()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with in_one_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with in_one_thread():
        assert threads() == 1
        thread.start()
        assert entered.wait(10)
        assert threads() == 1
    assert threads() == before
    leave.set()
    thread.join()
    assert threads() == before
    with in_one_thread():
        assert threads() == 1
    assert threads() == before


@pytest.mark.parametrize("main_first", [True, False])
def test_threads_take_turns(main_first):
    """Each sees one thread, although another thread that has set limits before is still there."""
    before, seen, asked, leave = threads(), [], threading.Event(), threading.Event()

    def see():
        with in_one_thread():
            seen.append(threads())

    def other():
        see()
        asked.set()
        leave.wait(10)

    if main_first:
        see()
    thread = threading.Thread(target=other)
    thread.start()
    assert asked.wait(10)
    see()
    leave.set()
    thread.join()
    assert set(seen) == {1}
    assert threads() == before


def test_nothing_stays_locked_where_limiting_fails(monkeypatch):
    def unknown():
        raise OSError("no library")

    with monkeypatch.context() as broken:
        broken.setattr("convop.apply.blas._libraries", unknown)
        with pytest.raises(OSError, match="no library"), in_one_thread():
            pass
    with in_one_thread():
        assert threads() == 1


def test_nested_calls_and_errors():
    before = threads()

    def fail():
        with in_one_thread(), in_one_thread():
            assert threads() == 1
            raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        fail()
    assert threads() == before
