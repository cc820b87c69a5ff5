"""Requests that come at once are answered as one batch. In: the values of each request. Out: its answers, in its order.

A model answers one batch at a time, in a thread of its own. What comes while it does waits and makes the next batch;
what comes while it is idle waits for a short window. How much may wait is bounded: more is refused at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

Answer = Callable[[Sequence[Any]], list[dict[str, Any]]]


class BusyError(Exception):
    """So many texts wait already that another request would wait too long; ask again later."""


class TooLargeError(Exception):
    """One request asks about more texts than may ever wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How requests are put together: the seconds that a first one waits for others, and numbers of texts."""

    window: float = 0.002
    batch: int = 64
    waiting: int = 1024


@dataclass(frozen=True, slots=True)
class _Request:
    values: Sequence[Any]
    answers: "asyncio.Future[list[dict[str, Any]]]"


class Batcher:
    """Answers requests by way of `answer`, which runs in `thread`, an executor of one thread."""

    def __init__(self, answer: Answer, thread: Executor, limits: Limits) -> None:
        self._answer = answer
        self._thread = thread
        self._limits = limits
        self._waiting: deque[_Request] = deque()
        self._texts = 0
        self._arrived = asyncio.Event()

    async def ask(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the answers to a request. Raises BusyError, TooLargeError, and what `answer` raises of it."""
        if len(values) > self._limits.waiting:
            raise TooLargeError(f"{len(values)} texts in one request; send at most {self._limits.waiting} at once")
        if self._texts + len(values) > self._limits.waiting:
            raise BusyError(f"{self._texts} texts wait, at most {self._limits.waiting} may; ask again in a second")
        request = _Request(values, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._texts += len(values)
        self._arrived.set()
        return await request.answers

    async def run(self) -> None:
        """Answer batch after batch, until cancelled."""
        while True:
            await self._arrived.wait()
            if self._texts < self._limits.batch:
                await asyncio.sleep(self._limits.window)
            batch = self._next_batch()
            if batch:
                await self._answer_batch(batch)

    def _next_batch(self) -> list[_Request]:
        """Take the requests that waited longest, as many as a batch holds, and at least one.

        Whoever no longer waits for an answer gets none.
        """
        batch: list[_Request] = []
        count = 0
        while self._waiting and (not batch or count + len(self._waiting[0].values) <= self._limits.batch):
            request = self._waiting.popleft()
            self._texts -= len(request.values)
            if not request.answers.done():
                batch.append(request)
                count += len(request.values)
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _answer_batch(self, batch: Sequence[_Request]) -> None:
        loop = asyncio.get_running_loop()
        values = [value for request in batch for value in request.values]
        try:
            answers = iter(await loop.run_in_executor(self._thread, self._answer, values))
        except Exception as error:
            if len(batch) > 1:  # one of the requests, maybe: the others are not to fail with it
                for request in batch:
                    await self._answer_batch([request])
            elif not batch[0].answers.done():
                batch[0].answers.set_exception(error)
            return
        for request in batch:
            found = [next(answers) for _ in request.values]
            if not request.answers.done():
                request.answers.set_result(found)
