"""Work shared out to processes: one thread each, and the same arithmetic on every x86-64 processor with AVX2."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.queues import Queue
from threading import Thread
from typing import Any, TypeVar

import cv2

from calcigraph.errors import LostProcess

DISABLE, ENABLE = "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"
WIDE = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
"""What NumPy does without in these processes, by the names of NumPy 2.0 to 2.4. Its exponentials and sines for AVX-512
differ from those for AVX2 in the last bit, and with them some grey values of a simulated image by one."""

IMAGES_EACH = 10
"""Images for which a process that asks networks is started: the start takes seconds."""

_work: Callable[[Any], Any]
"""What this process does, where it was started by `spread`."""

Given = TypeVar("Given")
Made = TypeVar("Made")


def spread(
    work: Callable[[Given], Made],
    items: Sequence[Given],
    *,
    workers: int | None = None,
) -> Iterator[Made]:
    """Do some work for every item, and yield what comes of it, in the order of the items; begun by the first `next`.

    Args:
        work: sent once to each process, which is started anew.
        items: sent to it one at a time.
        workers: processes; one per core that may be used unless given.

    Raises:
        LostProcess: a process ended before its work was done.
    """
    count, context = min(workers or cores(), max(1, len(items))), get_context("spawn")
    sent: Queue[bytes] = context.Queue()
    # With the arguments of a process that ends before it has read them Python would wait for ever.
    sent.cancel_join_thread()
    packed = pickle.dumps(work)  # both ways: tensors that are not sent by value take a file handle each
    for _ in range(count):
        sent.put(packed)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(sent,))
    with _without_wide_arithmetic():
        try:
            asked = deque(pool.submit(_do, item) for item in items)
            while asked:  # what was yielded is held no longer
                yield pickle.loads(asked.popleft().result())
        except BrokenProcessPool:
            raise LostProcess(
                f"one of {count} processes that ended before its work was done, as for lack of memory",
                allowed="some GiB of memory for each processor that the machine offers",
                do="the same command goes on from here; offer it fewer (--workers or taskset), or free memory",
            ) from None
        finally:  # by the pool alone: what `map` cancels while a process is lost stops the pool from ending
            pool.shutdown(cancel_futures=True)


def spread_inference(
    work: Callable[[Given], Made],
    images: Sequence[Given],
    *,
    device: str,
    workers: int | None = None,
) -> Iterator[Made]:
    """Put every image to networks, as by `spread`; few images, or another device than the processor, in this process.

    Args:
        work: holds the networks.
        images: put to them one at a time.
        device: where the networks run.
        workers: processes at most; one per core that may be used unless given.

    Raises:
        LostProcess: a process ended before its work was done.
    """
    count = min(workers or cores(), len(images) // IMAGES_EACH) if device == "cpu" else 1
    return map(work, images) if count < 2 else spread(work, images, workers=count)


def cores() -> int:
    """Return how many cores this process may use (`taskset` gives it fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(sent: Queue[bytes]) -> None:
    """Take the work, do it on one thread, and end with the process that asked: a killed one cannot say so."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    _work = pickle.loads(sent.get())
    cv2.setNumThreads(1)
    if "torch" in sys.modules:  # simulation does without
        sys.modules["torch"].set_num_threads(1)


def _do(item: Any) -> bytes:
    return pickle.dumps(_work(item))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _without_wide_arithmetic() -> Iterator[None]:
    """Set what processes started in this block inherit, unless the user has set it."""
    if {DISABLE, ENABLE} & os.environ.keys():
        yield
        return
    os.environ[DISABLE] = WIDE
    try:
        yield
    finally:
        del os.environ[DISABLE]
