"""The threads of a fold: some read files, others work on the chunks, all in bounded memory.

Nearly all of the work (gunzip, search, gzip) is done with Python's lock released.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from queue import Empty, SimpleQueue
from threading import Event
from types import TracebackType
from typing import TypeVar

from coldtable.ops.fold_chunks import Buffer, Chunk

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):
    """Somebody else has failed; nothing is wrong with this one."""


class Crew:
    """Readers, each with a file, and workers for all of their chunks.

    The number of buffers bounds the memory: who has none waits until a worker is done with one.
    """

    def __init__(self, *, readers: int, workers: int) -> None:
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._ahead = workers + 1
        self._free: SimpleQueue[Buffer] = SimpleQueue()
        self._stopped = Event()
        self._cause: BaseException | None = None
        for _ in range(readers + 2 * workers):
            self._free.put(Buffer())

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._readers.shutdown(cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)

    def each(self, things: Iterable[T], do: Callable[[T], R]) -> Iterator[R]:
        """What ``do`` returns for each of the things, as they get done, in any order.

        The first failure stops the others, and is raised.
        """
        futures = [self._readers.submit(self._guarded, do, thing) for thing in things]
        try:
            for future in as_completed(futures):
                yield future.result()
        except Stopped:
            raise self._cause or Stopped from None
        finally:
            if any(not future.done() or future.exception() for future in futures):
                self._stopped.set()
            for future in futures:
                future.cancel()

    def work(self, chunks: Iterable[Chunk], do: Callable[[Chunk], R]) -> Iterator[R]:
        """What ``do`` returns for each chunk, in their order; for readers to call."""
        waiting: deque[Future[R]] = deque()
        for chunk in chunks:
            waiting.append(self._workers.submit(self._one, chunk, do))
            while len(waiting) > self._ahead or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def take(self) -> Buffer:
        """A free buffer; waits for one. Raises ``Stopped`` if somebody has failed."""
        while not self._stopped.is_set():
            try:
                return self._free.get(timeout=0.2)
            except Empty:
                continue
        raise Stopped

    def _one(self, chunk: Chunk, do: Callable[[Chunk], R]) -> R:
        try:
            if self._stopped.is_set():
                raise Stopped
            return do(chunk)
        finally:
            # One that had to grow for a long line is not kept.
            self._free.put(chunk.buffer if chunk.buffer.usual else Buffer())

    def _guarded(self, do: Callable[[T], R], thing: T) -> R:
        if self._stopped.is_set():
            raise Stopped
        try:
            return do(thing)
        except BaseException as error:
            if not isinstance(error, Stopped) and self._cause is None:
                self._cause = error
            self._stopped.set()
            raise
