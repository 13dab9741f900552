"""Every method of the client against a server: what it gives, and what it raises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from serving import Server, until

from dunlin_client import (
    Answer,
    BadRequest,
    Conflict,
    Dunlin,
    NotFound,
    Object,
    Passage,
    Position,
    Problem,
    Reports,
    Unreachable,
    cooccurrence,
    inside,
    knn,
    within,
)

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}
LINE = [("a", 1.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)]


def place(dunlin: Dunlin, rows: list[tuple[str, float, float]]) -> None:
    """Sends rows and waits until answers have them."""
    dunlin.send(rows)
    last, x, y = rows[-1]
    until(lambda: exists(dunlin, last) and dunlin.object(last).at == (x, y))


def exists(dunlin: Dunlin, id: str) -> bool:
    try:
        dunlin.object(id)
    except NotFound:
        return False
    return True


def test_questions_are_answered_once(dunlin: Dunlin) -> None:
    place(dunlin, LINE)
    answer = dunlin.ask(knn(2, at=(0, 0)))
    assert answer.query is None
    assert answer.objects == (Object("a", (1.0, 0.0), 1.0), Object("b", (2.0, 0.0), 2.0))
    assert abs(answer.time - datetime.now(timezone.utc)) < timedelta(seconds=5)
    assert dunlin.ask(knn(2, object="a")).ids == ["b", "c"]
    assert dunlin.ask(within(2, at=(0, 0))).ids == ["a", "b"]
    assert dunlin.ask(within(1, object="b")).ids == ["a"]
    found = dunlin.ask(inside(SQUARE))
    assert found.ids == ["a", "b", "c"]
    assert found.objects[0].distance is None
    assert dunlin.ask(knn(3, object="nobody")).ids == []


def test_queries_stand_until_they_are_deleted(dunlin: Dunlin) -> None:
    place(dunlin, LINE)
    questions = {
        "near": knn(2, at=(0, 0)),
        "of a/b é?": knn(1, object="b"),
        "..": within(2.5, at=(1, 0.5)),
        "square": inside({"type": "Feature", "geometry": SQUARE}),
        "convoys": cooccurrence(xi=timedelta(minutes=1), tau="30m", theta=2),
    }
    for id, question in questions.items():
        assert dunlin.create(id, question).question == question
    assert {it.id: it.question for it in dunlin.queries()} == questions
    for id, question in questions.items():
        assert dunlin.query(id).question == question
    answer = dunlin.answer("near")
    assert isinstance(answer, Answer)
    assert (answer.query, answer.ids) == ("near", ["a", "b"])
    assert isinstance(dunlin.answer("convoys"), Reports)
    dunlin.delete("..")
    with pytest.raises(NotFound):
        dunlin.query("..")
    assert len(dunlin.queries()) == len(questions) - 1


def test_long_lists_come_in_pages(dunlin: Dunlin) -> None:
    ids = [f"q{number}" for number in range(1_001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda id: dunlin.create(id, knn(1, at=(0, 0))), ids))
    assert sorted(it.id for it in dunlin.queries()) == sorted(ids)


def test_a_refusal_says_why_and_where(dunlin: Dunlin) -> None:
    dunlin.create("near", knn(2, at=(0, 0)))
    with pytest.raises(Conflict) as taken:
        dunlin.create("near", knn(2, at=(0, 0)))
    assert (taken.value.status, taken.value.field) == (409, "id")
    with pytest.raises(BadRequest) as wrong:
        dunlin.create("none", knn(0, at=(0, 0)))
    assert (wrong.value.status, wrong.value.field) == (400, "k")
    assert "k is 0" in wrong.value.reason
    assert str(wrong.value).startswith("k: ")
    with pytest.raises(BadRequest) as area:
        dunlin.ask(inside({"type": "Polygon", "coordinates": [[[0, 0], [1, 0]]]}))
    assert area.value.field == "area"
    for call in (dunlin.answer, dunlin.query, dunlin.delete, dunlin.object):
        with pytest.raises(NotFound) as missing:
            call("nobody/here")
        assert "nobody/here" in missing.value.reason
    with pytest.raises(BadRequest) as producer:
        dunlin.send(LINE, producer=2**63)
    assert producer.value.field == "Dunlin-Producer"
    with pytest.raises(TypeError):
        knn(2)
    with pytest.raises(TypeError):
        within(2, at=(0, 0), object="a")


def test_who_is_no_dunlin_is_told_from_it(server: Server) -> None:
    with Dunlin(f"{server.url}/other/") as stranger, pytest.raises(Problem) as none:
        stranger.state()
    assert none.value.status == 404
    with Dunlin("http://127.0.0.1:1") as nobody, pytest.raises(Unreachable):
        nobody.state()


def test_an_object_says_where_and_when_it_was(dunlin: Dunlin) -> None:
    time = datetime.now(timezone.utc).replace(microsecond=123_000)
    dunlin.send([Position("timed é", 5, 6, time)])
    until(lambda: exists(dunlin, "timed é"))
    found = dunlin.object("timed é")
    assert (found.id, found.at, found.time) == ("timed é", (5.0, 6.0), time)
    # An older one changes nothing; texts, numbers and datetimes without a zone are times as well.
    late = time - timedelta(seconds=1)
    times = [late, late.isoformat(), int(late.timestamp() * 1000), late.replace(tzinfo=None)]
    before = dunlin.state()["records"]["late"]
    assert dunlin.send([("timed é", 7, 8, it) for it in times]).accepted == 4
    until(lambda: dunlin.state()["records"]["late"] == before + 4)
    assert dunlin.object("timed é").at == (5.0, 6.0)


def test_bad_rows_are_told_and_the_others_taken(dunlin: Dunlin) -> None:
    nan = float("nan")
    rows = [("r0", 1, 1), ("", 1, 1), ("r2", nan, 1), ("r3", 1, 1, "soon"), ("r4", 1, 1)]
    taken = dunlin.send(rows, batch_rows=2)
    assert (taken.accepted, taken.rejected, taken.next_sequence) == (2, 3, None)
    assert [it.row for it in taken.errors] == [1, 2, 3]
    assert "name" in taken.errors[0].reason
    assert "time" in taken.errors[2].reason


@pytest.mark.parametrize(
    "row", [("a",), ("a", 1, 1, 1, 1), "abc", (None, 1, 1), (1.5, 1, 1), (True, 1, 1)]
)
def test_what_is_no_row_is_not_sent(dunlin: Dunlin, row: object) -> None:
    with pytest.raises(ValueError):
        dunlin.send([row])  # type: ignore[list-item]


def test_a_numbered_batch_takes_effect_once(dunlin: Dunlin) -> None:
    def counts() -> tuple[int, int]:
        records = dunlin.state()["records"]
        return records["applied"], records["duplicate"]

    place(dunlin, [("other", 1, 1)])
    applied, duplicate = counts()
    rows = [(f"n{number}", number, 0.0) for number in range(5)]
    taken = dunlin.send(rows, producer=9, sequence=4, batch_rows=2)
    assert (taken.accepted, taken.next_sequence) == (5, 7)
    moved = [(id, x, 9.0) for id, x, _ in rows]
    assert dunlin.send(moved, producer=9, sequence=4, batch_rows=2).next_sequence == 7
    until(lambda: counts() == (applied + 5, duplicate + 5))
    assert dunlin.object("n3").at == (3.0, 0.0)
    assert dunlin.send(moved, producer=9, sequence=7).next_sequence == 8
    until(lambda: dunlin.object("n3").at == (3.0, 9.0))


def test_who_does_not_wait_says_so(dunlin: Dunlin) -> None:
    for overload in ("block", "latest", "shed", "shed:90"):
        taken = dunlin.send(LINE, overload=overload)
        assert taken.accepted + taken.held + taken.shed == len(LINE)
    with pytest.raises(BadRequest, match="numbered"):
        dunlin.send(LINE, overload="latest", producer=77)
    with pytest.raises(BadRequest, match="PERCENT"):
        dunlin.send(LINE, overload="never")


def test_what_was_taken_before_an_error_is_told(server: Server) -> None:
    rows = [("t0", 0, 0), ("t1", 1, 0), ("x" * (17 << 20), 2, 0)]
    with Dunlin(server.url) as dunlin, pytest.raises(BadRequest) as failed:
        dunlin.send(rows, batch_rows=1, producer=10)
    assert failed.value.status == 413
    assert failed.value.taken is not None
    assert (failed.value.taken.accepted, failed.value.taken.next_sequence) == (2, 2)


def test_co_occurrences_are_reported(dunlin: Dunlin) -> None:
    dunlin.create("pairs", cooccurrence(xi="60s", tau="30m", theta=3))
    with dunlin.subscribe("pairs") as events:
        first = next(events)
        assert isinstance(first, Reports)
        assert first.reports == ()
        for stream in ("c1", "c2", "c3"):
            taken = dunlin.send_events([Passage(stream, "A"), (stream, "B")])
            assert taken.accepted == 2
        for answer in events.answers():
            if isinstance(answer, Reports) and answer.reports:
                break
        assert (answer.reports[0].objects, answer.reports[0].support) == (("A", "B"), 3)
        met = answer.reports[0].occurrences
        assert [it.stream for it in met] == ["c1", "c2", "c3"]
        assert all(it.start <= it.end <= answer.reports[0].time for it in met)
        now = dunlin.answer("pairs")
        assert isinstance(now, Reports)
        assert now.reports == answer.reports
    wrong = dunlin.send_events([("", "A"), ("c1", "B")])
    assert (wrong.accepted, wrong.rejected, wrong.errors[0].row) == (1, 1, 0)
    with pytest.raises(BadRequest) as span:
        dunlin.create("none", cooccurrence(xi="60", tau="30m", theta=3))
    assert span.value.field == "xi"


def test_the_state_is_told(dunlin: Dunlin) -> None:
    place(dunlin, LINE)
    state = dunlin.state()
    assert state["space"] == "plane"
    assert state["objects"] >= 3
    assert state["shards"][0]["from"] is None
    assert sum(strip["objects"] for strip in state["strips"]) == state["objects"]
