"""Answers over gRPC, over server-sent events, asked for, and of `dunlin replay` are the same.

A trace goes in step by step, one batch each; after the last one every face must list the same
objects at the same distances as the last answers of a replay of the file. Live times are those of
the log, so times are not compared.
"""

import csv
import json
import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from rpc import Rpc
from serving import Server, binary, until

from dunlin_client import Answer, Dunlin
from dunlin_client.queries import StandingQuery

STEPS = 30
Rows = list[tuple[str, float, float]]


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


SPACES = {
    "plane": ("0,0,1000,1000", (500, 500), 150.0, box(100, 100, 400, 600)),
    # Across the antimeridian's neighbourhood, where degrees and metres are far from alike.
    "sphere": ("170,60,179.9,70", (175, 65), 80_000.0, box(171, 61, 174, 66)),
}


def queries(space: str) -> list[dict[str, Any]]:
    _, (x, y), radius, area = SPACES[space]
    return [
        {"id": "point", "knn": {"k": 10, "at": [x, y]}},
        {"id": "corner", "knn": {"k": 3, "at": [x + 4.9, y - 4.9]}},
        {"id": "object", "knn": {"k": 5, "object": "o000007"}},
        {"id": "all", "knn": {"k": 500, "at": [x, y]}},
        {"id": "disc", "within": {"radius": radius, "at": [x, y]}},
        {"id": "round", "within": {"radius": radius, "object": "o000011"}},
        {"id": "inside", "inside": {"area": area}},
        {"id": "nobody", "knn": {"k": 5, "object": "nobody"}},
    ]


def trace(space: str, folder: Path) -> Path:
    path = folder / "trace.csv"
    command = [binary(), "generate", "uniform", "--space", space, "--area", SPACES[space][0]]
    command += ["--objects", "200", "--steps", str(STEPS), "--step", "1s", "--speed", "0.05"]
    subprocess.run([*command, "--seed", "7", "--out", str(path)], check=True)
    return path


def steps(path: Path) -> Iterator[Rows]:
    """The rows of each time, in order."""
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)
    rows.sort(key=lambda row: row[1])
    for _, step in groupby(rows, key=lambda row: row[1]):
        yield [(object, float(x), float(y)) for object, _, x, y in step]


def replayed(space: str, path: Path, folder: Path) -> dict[str, list[Any]]:
    """The last answer of every query: id, distance and place of each object."""
    asked = folder / "queries.ndjson"
    asked.write_text("".join(json.dumps(query) + "\n" for query in queries(space)))
    command = [binary(), "replay", str(path), "--queries", str(asked), "--epoch", "1s"]
    command += ["--space", space, "--emit", "all"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answers = map(json.loads, done.stdout.splitlines())
    return {answer["query"]: listed(answer["objects"]) for answer in answers}


def listed(objects: list[dict[str, Any]]) -> list[Any]:
    return [(it["id"], it.get("distance"), tuple(it["at"])) for it in objects]


def as_listed(answer: Any) -> list[Any]:
    assert isinstance(answer, Answer)
    return [(it.id, it.distance, it.at) for it in answer.objects]


def send_over_http(dunlin: Dunlin, _: Rpc, rows: Rows) -> None:
    assert dunlin.send(rows).accepted == len(rows)


def send_over_grpc(_: Dunlin, rpc: Rpc, rows: Rows) -> None:
    objects, x, y = zip(*rows, strict=True)
    batch = rpc.message("dunlin.v1.PositionBatch", objects=objects, x=x, y=y)
    [ack] = rpc.stream("dunlin.v1.Ingest/Positions", iter([batch]))
    assert ack.accepted == len(rows)


def apply(ids: list[str], event: dict[str, Any]) -> list[str]:
    """The ids of an answer after an event, by the JSON alone."""
    if "objects" in event:
        return [it["id"] for it in event["objects"]]
    changes = [next(iter(change.items())) for change in event["changes"]]
    gone = {what for kind, what in changes if kind == "leave"}
    gone |= {what["id"] for kind, what in changes if kind == "reorder"}
    ids = [id for id in ids if id not in gone]
    for kind, what in changes:
        if kind in ("enter", "reorder"):
            ids.insert(what["rank"], what["id"])
    return ids




@pytest.mark.parametrize("send", [send_over_http, send_over_grpc])
@pytest.mark.parametrize("space", SPACES)
def test_all_faces_say_what_replay_says(space: str, send: Any, tmp_path: Path) -> None:
    path = trace(space, tmp_path)
    expected = replayed(space, path, tmp_path)
    assert len(expected) == len(queries(space))
    assert sum(map(len, expected.values())) > 220, "the queries find too little to compare"
    server = Server("--space", space)
    rpc = Rpc(server.grpc)
    try:
        with Dunlin(server.url) as dunlin:
            compare(dunlin, rpc, send, list(steps(path)), space, expected)
    finally:
        rpc.close()
        server.kill()


def compare(
    dunlin: Dunlin, rpc: Rpc, send: Any, parts: list[Rows], space: str, expected: dict[str, Any]
) -> None:
    assert len(parts) == STEPS
    for query in queries(space):
        rpc.call("dunlin.v1.Queries/Create", json=json.dumps(query))
    followers = {query["id"]: dunlin.subscribe(query["id"]) for query in queries(space)}
    rpcs = {id: rpc.follow("dunlin.v1.Subscribe/Subscribe", id=id) for id in followers}
    ids: dict[str, list[str]] = {}
    for id, follower in followers.items():
        next(follower)
        ids[id] = apply([], json.loads(next(rpcs[id]).json))
    sent = 0
    for rows in parts:
        send(dunlin, rpc, rows)
        sent += len(rows)
        # The step is applied, and its epoch is over, before the next.
        until(lambda sent=sent: dunlin.state()["records"]["applied"] == sent)
    for query in queries(space):
        id, wanted = query["id"], expected[query["id"]]
        names = [name for name, *_ in wanted]
        assert as_listed(dunlin.answer(id)) == wanted, id
        once = dunlin.ask(StandingQuery.from_json(query).question)  # type: ignore[arg-type]
        assert as_listed(once) == wanted, id
        question = json.dumps({kind: it for kind, it in query.items() if kind != "id"})
        asked = rpc.call("dunlin.v1.Ask/Ask", json=question)
        distance = [it.distance if it.HasField("distance") else None for it in asked.objects]
        places = [(it.id, (it.x, it.y)) for it in asked.objects]
        assert [(id, d, at) for (id, at), d in zip(places, distance, strict=True)] == wanted, id
        while ids[id] != names:
            ids[id] = apply(ids[id], json.loads(next(rpcs[id]).json))
        while [it[0] for it in as_listed(followers[id].answer)] != names:
            next(followers[id])
        # Who comes now gets the whole: with distances and places of now.
        whole = next(dunlin.subscribe(id))
        assert as_listed(whole) == wanted, id
        [first] = [json.loads(next(rpc.follow("dunlin.v1.Subscribe/Subscribe", id=id)).json)]
        assert listed(first["objects"]) == wanted, id
        followers[id].close()
        rpcs[id].cancel()
