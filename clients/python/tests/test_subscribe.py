"""Following queries: every delta once, whatever is cut or started again."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from httpcore import ConnectionPool
from serving import Server, on_disk, until

from dunlin_client import (
    Answer,
    BadRequest,
    Delta,
    Dunlin,
    Enter,
    Event,
    Leave,
    Move,
    NotFound,
    Object,
    Reorder,
    Subscription,
    Unreachable,
    knn,
)


def ids(subscription: Subscription) -> list[str]:
    assert isinstance(subscription.answer, Answer)
    return subscription.answer.ids


def follow_until(subscription: Subscription, wanted: list[str]) -> list[Event]:
    """The events until the answer is as wanted."""
    seen = []
    while subscription.answer is None or ids(subscription) != wanted:
        seen.append(next(subscription))
    return seen


def test_deltas_lead_to_the_answer(dunlin: Dunlin) -> None:
    dunlin.create("near", knn(3, at=(100, 0)))
    with dunlin.subscribe("near") as events:
        assert isinstance(next(events), Answer)
        dunlin.send([("a", 103, 0), ("b", 102, 0), ("c", 104, 0), ("d", 105, 0)])
        follow_until(events, ["b", "a", "c"])
        dunlin.send([("d", 101, 0)])
        delta = next(events)
        assert isinstance(delta, Delta)
        assert delta.query == "near"
        entered = Enter(0, Object("d", (101.0, 0.0), 1.0))
        assert delta.changes == (Leave("c"), entered)
        # The list stays as it is: nothing is told.
        dunlin.send([("b", 101.5, 0)])
        while dunlin.object("b").at != (101.5, 0.0):
            time.sleep(0.01)
        dunlin.send([("a", 100.5, 0)])
        seen = follow_until(events, ["a", "d", "b"])
        changes = [it for event in seen if isinstance(event, Delta) for it in event.changes]
        assert {type(it) for it in changes} == {Move, Reorder}
        now = dunlin.answer("near")
        assert isinstance(now, Answer) and isinstance(events.answer, Answer)
        # Who kept its order and moved was told, too: places and distances are those of now.
        assert now.objects == events.answer.objects


def test_changes_are_applied_at_their_ranks() -> None:
    now = datetime.now(timezone.utc)
    a, b, c, d = (Object(id, (0.0, 0.0), 1.0) for id in "abcd")
    answer = Answer("q", now, (a, b, c))
    nearer = Object("a", (0.5, 0.0), 0.5)
    delta = Delta("q", now, (Leave("b"), Enter(0, d), Reorder(1, c), Move(nearer)))
    assert delta.apply(answer).objects == (d, c, nearer)


def test_names_with_odd_letters_arrive_whole(dunlin: Dunlin) -> None:
    odd = ["a\u2028b", "c\u0085d", 'e"\\\n\r\tf', "data: g", " ", "😀"]
    dunlin.create("odd\u2028", knn(9, at=(200, 0)))
    with dunlin.subscribe("odd\u2028") as events:
        next(events)
        dunlin.send([(name, 200 + rank / 10, 0) for rank, name in enumerate(odd)])
        for answer in events.answers():
            assert isinstance(answer, Answer)
            if set(odd) <= set(answer.ids):
                break
        assert answer.ids[: len(odd)] == odd


def test_a_subscription_goes_on_after_an_earlier_one(dunlin: Dunlin) -> None:
    dunlin.create("near", knn(2, at=(300, 0)))
    with dunlin.subscribe("near") as first:
        dunlin.send([("s", 301, 0), ("t", 302, 0)])
        follow_until(first, ["s", "t"])
        earlier = first.answer
    dunlin.send([("u", 300, 0)])
    with dunlin.subscribe("near", after=first.last_event_id) as second:
        delta = next(second)
        assert isinstance(delta, Delta)
        assert second.answer is None, "no whole answer was told yet"
        assert isinstance(earlier, Answer)
        assert delta.apply(earlier).ids == ["u", "s"]
    with pytest.raises(BadRequest) as wrong:
        next(dunlin.subscribe("near", after="yesterday"))
    assert wrong.value.field == "Last-Event-ID"


def test_who_cannot_begin_is_told_at_once(dunlin: Dunlin) -> None:
    with pytest.raises(NotFound):
        next(dunlin.subscribe("nobody"))
    with Dunlin("http://127.0.0.1:1") as nobody, pytest.raises(Unreachable):
        next(nobody.subscribe("near"))


def test_it_ends_with_its_query(dunlin: Dunlin) -> None:
    dunlin.create("gone", knn(2, at=(0, 0)))
    with dunlin.subscribe("gone") as events:
        next(events)
        dunlin.delete("gone")
        with pytest.raises(NotFound):
            for _ in events:
                pass


def test_a_closed_subscription_lets_the_server_go(dunlin: Dunlin) -> None:
    dunlin.create("near", knn(2, at=(0, 0)))
    with dunlin.subscribe("near") as events:
        next(events)
        until(lambda: dunlin.state()["subscribers"] == 1)
    # The server sees it when it next writes.
    far = iter(range(10_000))
    until(lambda: dunlin.send([(f"n{next(far)}", 0, 0)]) and dunlin.state()["subscribers"] == 0)
    with pytest.raises(StopIteration):
        next(events)


def test_nobody_there_any_more_ends_patience(tmp_path: Path) -> None:
    server = Server()
    with Dunlin(server.url, patience_s=0.5) as dunlin:
        dunlin.create("near", knn(2, at=(0, 0)))
        with dunlin.subscribe("near") as events:
            next(events)
            server.kill()
            start = time.monotonic()
            with pytest.raises(Unreachable):
                next(events)
            assert 0.4 < time.monotonic() - start < 5
            with pytest.raises(Unreachable):
                dunlin.send([("a", 0, 0)], producer=1)


STEPS = 120


def send_steps(server: Server) -> None:
    """Six objects change places again and again."""
    with Dunlin(server.url) as dunlin:
        for step in range(STEPS):
            x = [1.0 + (it * 7 + step * 5 * (it + 1)) % 13 for it in range(6)]
            dunlin.send([(f"o{it}", x[it], 0.0) for it in range(6)], producer=3, sequence=step)
            time.sleep(0.025)


def kill_three_times(server: Server) -> None:
    for _ in range(3):
        time.sleep(0.9)
        server.kill()
        server.start()


def test_kill_and_restart_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """A sender and a subscriber go on over three kills as if there had been none."""
    server = on_disk(tmp_path / "data", "--space", "plane")
    seen: list[tuple[str, Event]] = []
    lists: list[list[str]] = []

    def follow(events: Subscription) -> None:
        with contextlib.suppress(NotFound):
            for event in events:
                seen.append((str(events.last_event_id), event))
                lists.append(ids(events))

    try:
        with Dunlin(server.url) as dunlin:
            dunlin.create("near", knn(3, at=(0, 0)))
            work = [
                threading.Thread(target=follow, args=(dunlin.subscribe("near"),), daemon=True),
                threading.Thread(target=send_steps, args=(server,), daemon=True),
                threading.Thread(target=kill_three_times, args=(server,), daemon=True),
            ]
            for thread in work:
                thread.start()
            for thread in work[1:]:
                thread.join()
            # The last sequence that a producer sent is known over the kills, too.
            until(lambda: dunlin.object("o5").at == (1.0 + (35 + (STEPS - 1) * 30) % 13, 0.0))
            until(lambda: lists[-1] == ids_now(dunlin))
            dunlin.delete("near")
            work[0].join()
    finally:
        server.kill()
    tags = [tuple(map(int, tag.split("."))) for tag, _ in seen]
    assert tags == sorted(set(tags)), "an event came twice, or too late"
    assert [isinstance(event, Answer) for _, event in seen] == [True] + [False] * (len(seen) - 1)
    assert all(len(it) == len(set(it)) <= 3 for it in lists)
    assert len(seen) > STEPS / 3


def ids_now(dunlin: Dunlin) -> list[str]:
    answer = dunlin.answer("near")
    assert isinstance(answer, Answer)
    return answer.ids


def test_an_abandoned_subscription_blocks_nobody(
    dunlin: Dunlin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector closes it, at worst amid a call that holds the lock of the pool."""
    dunlin.create("near", knn(1, at=(0, 0)))
    assign = ConnectionPool._assign_requests_to_connections

    def collect_and_assign(pool: ConnectionPool) -> Any:
        gc.collect()
        return assign(pool)

    def abandon() -> None:
        next(dunlin.subscribe("near"))
        dunlin.state()

    monkeypatch.setattr(ConnectionPool, "_assign_requests_to_connections", collect_and_assign)
    thread = threading.Thread(target=abandon, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "a call waits for a lock that it holds itself"
