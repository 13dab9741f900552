"""The gRPC face by grpcio: services by reflection, every method, health, and refusals."""

import json
from typing import Any

import grpc
import pytest
from rpc import Rpc
from serving import until

NEAR = {"id": "near", "knn": {"k": 2, "at": [0, 0]}}


def positions(rpc: Rpc, sequence: int, rows: list[tuple[str, float, float]]) -> Any:
    objects, x, y = zip(*rows, strict=True)
    return rpc.message(
        "dunlin.v1.PositionBatch", producer=5, sequence=sequence, objects=objects, x=x, y=y
    )


def send(rpc: Rpc, *batches: Any) -> list[Any]:
    return list(rpc.stream("dunlin.v1.Ingest/Positions", iter(batches)))


def refused(code: grpc.StatusCode, call: Any) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() == code
    assert error.value.details()


def test_services_are_listed_by_reflection(rpc: Rpc) -> None:
    ours = {f"dunlin.v1.{name}" for name in ("Ask", "Ingest", "Queries", "State", "Subscribe")}
    assert ours <= set(rpc.services())
    assert rpc.methods("dunlin.v1.Queries") == ["Create", "List", "Get", "Delete"]
    assert rpc.methods("dunlin.v1.Ingest") == ["Positions", "Events"]


def test_health_is_serving(rpc: Rpc) -> None:
    # 1 is SERVING.
    for service in ("", "dunlin.v1.Ingest", "dunlin.v1.Queries"):
        assert rpc.call("grpc.health.v1.Health/Check", service=service).status == 1
    with pytest.raises(grpc.RpcError) as unknown:
        rpc.call("grpc.health.v1.Health/Check", service="nobody")
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


def test_queries_stand_and_go(rpc: Rpc) -> None:
    created = rpc.call("dunlin.v1.Queries/Create", json=json.dumps(NEAR))
    assert (created.id, json.loads(created.json)) == ("near", NEAR)
    again = lambda: rpc.call("dunlin.v1.Queries/Create", json=json.dumps(NEAR))  # noqa: E731
    refused(grpc.StatusCode.ALREADY_EXISTS, again)
    listed = rpc.call("dunlin.v1.Queries/List")
    assert (listed.total, [query.id for query in listed.queries]) == (1, ["near"])
    assert rpc.call("dunlin.v1.Queries/Get", id="near") == created
    rpc.call("dunlin.v1.Queries/Delete", id="near")
    refused(grpc.StatusCode.NOT_FOUND, lambda: rpc.call("dunlin.v1.Queries/Get", id="near"))
    wrong = json.dumps({"id": "a", "knn": {"k": 0, "at": [0, 0]}})
    refused(
        grpc.StatusCode.INVALID_ARGUMENT, lambda: rpc.call("dunlin.v1.Queries/Create", json=wrong)
    )


def test_batches_are_acknowledged_and_questions_answered(rpc: Rpc) -> None:
    batches = [positions(rpc, number, [("a", number, 0), ("", 0, 0)]) for number in range(1, 21)]
    acks = send(rpc, *batches, positions(rpc, 20, [("a", 99, 0)]))
    assert [ack.sequence for ack in acks] == [*range(1, 21), 20]
    assert all((ack.accepted, ack.rejected) == (1, 1) for ack in acks[:20])
    assert (acks[0].errors[0].row, "name" in acks[0].errors[0].reason) == (2, True)

    def state() -> dict[str, Any]:
        said: dict[str, Any] = json.loads(rpc.call("dunlin.v1.State/GetState").json)
        return said

    until(lambda: state()["records"]["duplicate"] == 1)
    found = rpc.call("dunlin.v1.Ask/GetObject", id="a")
    assert (found.x, found.y, found.time > 0) == (20.0, 0.0, True)
    question = json.dumps({"knn": {"k": 1, "at": [0, 0]}})
    answer = rpc.call("dunlin.v1.Ask/Ask", json=question)
    assert [(it.id, it.x, it.distance) for it in answer.objects] == [("a", 20.0, 20.0)]
    refused(grpc.StatusCode.NOT_FOUND, lambda: rpc.call("dunlin.v1.Ask/GetObject", id="b"))
    torn = rpc.message("dunlin.v1.PositionBatch", objects=["a"], x=[1.0])
    refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: send(rpc, torn))


def test_a_subscriber_goes_on_after_what_it_has_seen(rpc: Rpc) -> None:
    rpc.call("dunlin.v1.Queries/Create", json=json.dumps(NEAR))
    follower = rpc.follow("dunlin.v1.Subscribe/Subscribe", id="near")
    # 1 is ANSWER, 2 is DELTA.
    first = next(follower)
    assert (first.kind, json.loads(first.json)["objects"]) == (1, [])
    told = []
    for number in range(1, 6):
        send(rpc, positions(rpc, number, [(f"o{number}", 10 - number, 0)]))
        told.append(next(follower))
    assert [event.kind for event in told] == [2] * 5
    follower.cancel()
    again = rpc.follow(
        "dunlin.v1.Subscribe/Subscribe", id="near", resume_after=told[1].position
    )
    assert [next(again) for _ in range(3)] == told[2:]
    again.cancel()
    nobody = rpc.follow("dunlin.v1.Subscribe/Subscribe", id="nobody")
    refused(grpc.StatusCode.NOT_FOUND, lambda: next(nobody))


def test_passages_are_mined(rpc: Rpc) -> None:
    pairs = {"id": "pairs", "cooccurrence": {"xi": "60s", "tau": "30m", "theta": 2}}
    rpc.call("dunlin.v1.Queries/Create", json=json.dumps(pairs))
    follower = rpc.follow("dunlin.v1.Subscribe/Subscribe", id="pairs")
    assert json.loads(next(follower).json)["reports"] == []
    streams, objects = ["c1", "c1", "c2", "c2"], ["A", "B", "A", "B"]
    batch = rpc.message("dunlin.v1.EventBatch", streams=streams, objects=objects)
    [ack] = rpc.stream("dunlin.v1.Ingest/Events", iter([batch]))
    assert ack.accepted == 4
    [change] = json.loads(next(follower).json)["changes"]
    assert (change["report"]["objects"], change["report"]["support"]) == (["A", "B"], 2)
    follower.cancel()
