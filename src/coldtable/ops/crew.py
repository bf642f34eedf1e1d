"""Carry readings out on all cores: processes, because line checks are Python, and threads in each
of them where a store keeps one waiting."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from threading import Thread

from coldtable.errors import ServiceFailed
from coldtable.ops.scan import Read, Reading, read_batch
from coldtable.ports import ObjectStore

# Makes the store anew in each process; can be pickled.
OpenStore = Callable[[], ObjectStore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How many processes, and how many threads in each. One process is this one.

    ``alone`` is how many bytes one process reads sooner than others have begun.
    """

    cores: int
    threads: int = 1
    alone: int = 0

    def for_size(self, size: int) -> Crew:
        """The crew for so many bytes."""
        return replace(self, cores=1) if size <= self.alone else self

    def read(
        self, open_store: OpenStore, batches: Iterable[Sequence[Reading]]
    ) -> Iterator[list[Read]]:
        """Carry out the batches, in any order; ``batches`` is asked for more as they end."""
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
            yield from _in_flight(pool, batches, 2 * self.cores)
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


def _in_flight(
    pool: ProcessPoolExecutor, batches: Iterable[Sequence[Reading]], most: int
) -> Iterator[list[Read]]:
    running: set[Future[list[Read]]] = set()
    for batch in batches:
        running.add(pool.submit(_carry_out, batch))
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
