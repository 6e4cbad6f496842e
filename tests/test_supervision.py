"""Parts that are told to end: at once, after having lost a cancellation, and never."""

import asyncio
import contextlib

from majordomo import supervision
from majordomo.supervision import cancel_until_ended


async def heeds() -> None:
    await asyncio.sleep(3600)


async def loses(cancellations: int) -> None:
    """Goes on after so many cancellations, as what waits for a driver that swallows them does."""
    for _ in range(cancellations):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
    await heeds()


async def end(*parts: "asyncio.Task[None]", patience: float = 30.0) -> bool:
    await asyncio.sleep(0)  # let them begin
    return await cancel_until_ended(parts, patience)


def test_a_part_that_lost_its_cancellation_is_told_again(monkeypatch) -> None:
    monkeypatch.setattr(supervision, "TELL_AGAIN", 0.01)

    async def run() -> None:
        parts = [asyncio.create_task(part) for part in (heeds(), loses(1), loses(3))]
        assert await end(*parts)
        assert all(part.cancelled() for part in parts)

    asyncio.run(run())


def test_a_part_that_never_ends_is_told_of(monkeypatch) -> None:
    monkeypatch.setattr(supervision, "TELL_AGAIN", 0.01)

    async def goes_on(over: asyncio.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()

    async def run() -> None:
        over = asyncio.Event()
        parts = [asyncio.create_task(part) for part in (heeds(), goes_on(over))]
        assert not await end(*parts, patience=0.1)
        assert [part.done() for part in parts] == [True, False]
        over.set()

    asyncio.run(run())


def test_parts_that_have_ended_are_no_matter() -> None:
    async def nothing() -> None:
        pass

    async def run() -> bool:
        return await end(asyncio.create_task(nothing()))

    assert asyncio.run(run())
