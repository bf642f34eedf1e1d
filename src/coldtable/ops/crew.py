"""Carry readings out on all cores: processes, because line checks are Python, and threads in each
of them where a store keeps one waiting. Where lines are only counted the threads of one process do:
gunzip and MD5 leave Python's lock to the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.synchronize import Event
from threading import Thread

from coldtable.errors import ServiceFailed
from coldtable.ops.scan import Read, Reading, read_batch
from coldtable.ports import ObjectStore

# So many threads hardly wait for each other's turns at Python's lock, which the counting of lines
# takes a seventh of the time; of more cores processes make more.
_WITHIN = 4
# From so many bytes on an object is worth a thread: in a bucket, which has to be asked for it, and
# in a folder (of 35 KB threads were slower than one, of 140 KB faster).
_ASKED, _OPENED = 1024 * 1024, 128 * 1024
# To check lines takes ten times as long as to count them; a process that does so is worth its start
# for so much less.
_CHECKED = 4
# Makes the store anew in each process; can be pickled.
OpenStore = Callable[[], ObjectStore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How many processes, and how many threads in each. One process is this one.

    ``alone`` is how many bytes one process reads, counting their lines, sooner than others have
    begun. ``within`` tells that the cores are kept busy by threads of this process.
    """

    cores: int
    threads: int = 1
    alone: int = 0
    within: bool = False

    def for_size(self, size: int, objects: int, *, checked: bool = False) -> Crew:
        """The crew for so many bytes in so many objects, whose lines are only counted, or each of
        them checked."""
        # To begin with an object is Python's own work: of many small ones it is most.
        worth = _ASKED if self.threads > 1 else _OPENED
        many = max(self.cores, self.threads) > 1 and size >= objects * worth
        if many and not checked and self.cores <= _WITHIN:
            return replace(self, within=True)
        alone = self.alone // _CHECKED if checked else self.alone
        return replace(self, cores=1) if size <= alone else self

    def read(
        self, open_store: OpenStore, batches: Iterable[Sequence[Reading]]
    ) -> Iterator[list[Read]]:
        """Carry out the batches, in any order; ``batches`` is asked for more as they end."""
        if self.within:
            yield from _with_threads(max(self.cores, self.threads), open_store(), batches)
            return
        if self.cores == 1:
            store = open_store()
            for batch in batches:
                yield read_batch(store, batch, threads=self.threads)
            return
        # Not a fork: this process has threads, of the SDK and others.
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        pool = ProcessPoolExecutor(self.cores, context, _begin, (open_store, self.threads, stop))
        try:
            yield from _in_flight(pool, _carry_out, batches, 2 * self.cores)
        except BrokenProcessPool:
            raise ServiceFailed(
                "A process that read data files was ended from outside",
                hint="Is there enough memory? Use fewer --cores, and run it again: it goes on",
            ) from None
        except BaseException:
            # Also a Ctrl-C, or nobody asking for more: whatever is being read is not waited for.
            stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def cores_here() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _with_threads(
    threads: int, store: ObjectStore, batches: Iterable[Sequence[Reading]]
) -> Iterator[list[Read]]:
    stop, pool = threading.Event(), ThreadPoolExecutor(threads)
    try:
        yield from _in_flight(pool, partial(read_batch, store, stop=stop), batches, 2 * threads)
    finally:
        # Also after an error or a Ctrl-C: what is being read ends with its next piece.
        stop.set()
        pool.shutdown(cancel_futures=True)


def _in_flight(
    pool: Executor,
    carry_out: Callable[[Sequence[Reading]], list[Read]],
    batches: Iterable[Sequence[Reading]],
    most: int,
) -> Iterator[list[Read]]:
    running: set[Future[list[Read]]] = set()
    for batch in batches:
        running.add(pool.submit(carry_out, batch))
        if len(running) >= most:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ended)
    while running:
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in ended)


@dataclass(slots=True)
class _Worker:
    """What one worker process has: made once, when it begins."""

    store: ObjectStore
    threads: int


_worker: _Worker


def _begin(open_store: OpenStore, threads: int, stop: Event) -> None:
    global _worker  # a process pool has no other place for it
    # Ctrl-C goes to every process of a terminal; the first one tells the others when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(os.getppid(), stop), daemon=True).start()
    _worker = _Worker(store=open_store(), threads=threads)


def _end_with(parent: int, stop: Event) -> None:
    """End this process at once, when it is told to or the one that began it is gone."""
    while not stop.wait(1.0):
        if os.getppid() != parent:
            break
    os._exit(1)


def _carry_out(batch: Sequence[Reading]) -> list[Read]:
    return read_batch(_worker.store, batch, threads=_worker.threads)
