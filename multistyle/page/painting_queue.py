"""One queue for all visitors: it is bounded, one thread paints, and what nobody waits for is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .refusal import Abandoned, Refusal

REQUESTS, BYTES = 32, 256 << 20  # how much may wait
LOOK = 0.1  # s, between two looks at whether a client is still there


@dataclass(eq=False)
class Job:
    """A request in the queue."""

    content: Any  # what `PaintingQueue.paint` takes
    size: int = 0  # bytes that it holds
    key: Hashable = None  # jobs with the same key may be painted together; None: alone
    name: str | None = None  # under which its client asks for progress
    session: str | None = None  # a newer job of the same session replaces this one
    done: int = 0
    total: int | None = None
    abandoned: bool = False
    future: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def progress(self, done: int, total: int | None) -> None:
        """Take down progress, in the thread that paints; raises `Abandoned` if nobody waits any more."""
        self.done, self.total = done, total
        if self.abandoned:
            raise Abandoned


class PaintingQueue:
    """Runs jobs one after the other in one thread.

    paint: turns jobs with the same key into their results, one for each; called in the thread.
    together: how many jobs with the same key are painted at once, at most.
    """

    def __init__(self, paint: Callable[[Sequence[Job]], list[Any]], together: int = 1) -> None:
        self.paint, self.together = paint, together
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.thread = ThreadPoolExecutor(1, "painter")
        self.worker: asyncio.Task[None] | None = None

    async def result(self, job: Job, vanished: Callable[[], Awaitable[bool]]) -> Any:
        """Wait for the result of `job`. Raises `Refusal` if the queue is full or the job was superseded, `Abandoned` if
        its client has gone, and what `paint` raises.

        vanished: tells whether the client has gone.
        """
        self._supersede(job.session)
        if len(self.waiting) >= REQUESTS or sum(other.size for other in self.waiting) + job.size > BYTES:
            raise Refusal(503, "too many pictures are waiting to be painted; try again in a moment")
        self.waiting.append(job)
        self.worker = self.worker or asyncio.create_task(self._work())
        try:
            while not job.future.done():
                await asyncio.wait([job.future], timeout=LOOK)
                if not job.future.done() and await vanished():
                    raise Abandoned
            return job.future.result()
        finally:
            job.abandoned = True
            job.future.cancel()
            if job in self.waiting:
                self.waiting.remove(job)

    def find(self, name: str) -> tuple[Job, int] | None:
        """The job of that name and how many wait before it; None if there is no such job."""
        for ahead, job in enumerate([*self.running, *self.waiting]):
            if job.name == name:
                return job, 0 if job in self.running else ahead
        return None

    def close(self) -> None:
        """Abandon everything; the thread ends after its current step."""
        for job in [*self.running, *self.waiting]:
            job.abandoned = True
        self.thread.shutdown(wait=False, cancel_futures=True)

    def _supersede(self, session: str | None) -> None:
        """End the jobs of a session; one that is being painted ends at its next step."""
        older = [job for job in [*self.running, *self.waiting] if session is not None and job.session == session]
        for job in older:
            job.abandoned = True
            if not job.future.done():
                job.future.set_exception(Refusal(409, "superseded by a newer request"))
        self.waiting = [job for job in self.waiting if job not in older]

    async def _work(self) -> None:
        try:
            while self.waiting:
                first = self.waiting[0]
                alike = [job for job in self.waiting[1:] if job.key is not None and job.key == first.key]
                self.running = [first, *alike[: self.together - 1]]
                self.waiting = [job for job in self.waiting if job not in self.running]
                await self._run(self.running)
                self.running = []
        finally:
            self.worker = None

    async def _run(self, jobs: Sequence[Job]) -> None:
        """Paint jobs together; if that fails, one by one."""
        try:
            results = await asyncio.get_running_loop().run_in_executor(self.thread, self.paint, jobs)
        except Exception as error:
            for job in jobs:
                if len(jobs) > 1:
                    await self._run([job])
                elif not job.future.done():
                    job.future.set_exception(error)
            return
        for job, result in zip(jobs, results, strict=True):
            if not job.future.done():
                job.future.set_result(result)
