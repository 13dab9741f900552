"""The client for asyncio: the same over the same wire, and many things at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from serving import Server, on_disk

from dunlin_client import (
    Answer,
    AsyncDunlin,
    BadRequest,
    Conflict,
    Delta,
    NotFound,
    Reports,
    Unreachable,
    cooccurrence,
    knn,
)


def run(server: Server, test: Callable[[AsyncDunlin], Awaitable[None]]) -> None:
    """Runs a test with a client, removes its queries, and fails what takes too long."""

    async def main() -> None:
        async with AsyncDunlin(server.url, patience_s=20) as dunlin:
            await asyncio.wait_for(test(dunlin), 30)
            for query in await dunlin.queries():
                await dunlin.delete(query.id)

    asyncio.run(main())


def test_every_method_answers(server: Server) -> None:
    async def test(dunlin: AsyncDunlin) -> None:
        created = await dunlin.create("near", knn(2, at=(0, 0)))
        assert await dunlin.query("near") == created
        assert await dunlin.queries() == [created]
        taken = await dunlin.send([("a", 1, 0), ("", 0, 0), ("b", 2, 0)], producer=1, batch_rows=1)
        assert (taken.accepted, taken.rejected, taken.next_sequence) == (2, 1, 3)
        assert taken.errors[0].row == 1
        async with dunlin.subscribe("near") as events:
            async for answer in events.answers():
                assert isinstance(answer, Answer)
                if answer.ids == ["a", "b"]:
                    break
        assert (await dunlin.ask(knn(1, object="a"))).ids == ["b"]
        assert (await dunlin.object("b")).at == (2.0, 0.0)
        assert (await dunlin.state())["objects"] == 2
        now = await dunlin.answer("near")
        assert isinstance(now, Answer)
        assert now.ids == ["a", "b"]
        await dunlin.delete("near")
        assert await dunlin.queries() == []

    run(server, test)


def test_refusals_are_typed(server: Server) -> None:
    async def test(dunlin: AsyncDunlin) -> None:
        await dunlin.create("near", knn(2, at=(0, 0)))
        with pytest.raises(Conflict):
            await dunlin.create("near", knn(2, at=(0, 0)))
        with pytest.raises(BadRequest) as wrong:
            await dunlin.ask(knn(0, at=(0, 0)))
        assert wrong.value.field == "k"
        with pytest.raises(NotFound):
            await anext(dunlin.subscribe("nobody"))
        with pytest.raises(BadRequest) as producer:
            await dunlin.send([("a", 0, 0)], producer=2**63)
        assert producer.value.taken is not None
        async with AsyncDunlin("http://127.0.0.1:1") as nobody:
            with pytest.raises(Unreachable):
                await nobody.state()
            with pytest.raises(Unreachable):
                await anext(nobody.subscribe("near"))

    run(server, test)


def test_co_occurrences_are_reported(server: Server) -> None:
    async def test(dunlin: AsyncDunlin) -> None:
        await dunlin.create("pairs", cooccurrence(xi="60s", tau="30m", theta=2))
        taken = await dunlin.send_events([(s, o) for s in ("c1", "c2") for o in ("A", "B")])
        assert taken.accepted == 4
        async with dunlin.subscribe("pairs") as events:
            async for reports in events.answers():
                assert isinstance(reports, Reports)
                if reports.reports:
                    break
        assert reports.reports[0].objects == ("A", "B")

    run(server, test)


def test_two_hundred_subscriptions_at_once(server: Server) -> None:
    """Each has its own connection: none waits for another, and calls go on beside them."""

    async def test(dunlin: AsyncDunlin) -> None:
        await dunlin.create("near", knn(1, at=(500, 0)))
        started = 0

        async def follow() -> str:
            nonlocal started
            async with dunlin.subscribe("near") as events:
                async for answer in events.answers():
                    started += 1
                    assert isinstance(answer, Answer)
                    if answer.ids == ["target"]:
                        break
            return answer.ids[0]

        tasks = [asyncio.create_task(follow()) for _ in range(200)]
        while started < 200:
            await asyncio.sleep(0.02)
        await dunlin.send([("target", 500, 0)])
        assert await asyncio.gather(*tasks) == ["target"] * 200

    run(server, test)


def test_a_cancelled_subscription_is_closed(server: Server) -> None:
    async def test(dunlin: AsyncDunlin) -> None:
        await dunlin.create("near", knn(1, at=(0, 0)))
        events = dunlin.subscribe("near")

        async def follow() -> None:
            async with events:
                async for _ in events:
                    pass

        task = asyncio.create_task(follow())
        while events.answer is None:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    run(server, test)


def test_it_goes_on_after_kill_and_restart(tmp_path: Path) -> None:
    server = on_disk(tmp_path / "data")

    async def test(dunlin: AsyncDunlin) -> None:
        await dunlin.create("near", knn(1, at=(0, 0)))
        async with dunlin.subscribe("near") as events:
            assert isinstance(await anext(events), Answer)
            server.kill()
            sending = asyncio.create_task(dunlin.send([("a", 1, 0)], producer=1))
            waiting = asyncio.create_task(anext(events))
            await asyncio.sleep(0.5)
            server.start()
            assert (await sending).accepted == 1
            delta = await waiting
            assert isinstance(delta, Delta)
            assert isinstance(events.answer, Answer)
            assert events.answer.ids == ["a"]

    try:
        run(server, test)
    finally:
        server.kill()
