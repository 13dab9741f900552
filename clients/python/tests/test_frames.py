"""pandas in and out."""

from __future__ import annotations

import subprocess
import sys

import pandas
import pytest
from serving import Server, until

from dunlin_client import Dunlin, Reports, cooccurrence, inside, knn

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}


def test_a_frame_goes_in_and_comes_out(dunlin: Dunlin) -> None:
    frame = pandas.DataFrame(
        {
            "speed": [1, 2, 3, 4],
            "lat": [0, 0, float("nan"), 0],
            "lon": [1.5, 2.5, 1.0, 3.5],
            "object": [11, 12, 13, 14],
            "time": [pandas.Timestamp.now("UTC"), pandas.NaT, pandas.NaT, pandas.NaT],
        },
        index=[7, 7, 8, 9],
    )
    taken = dunlin.send(frame, batch_rows=3)
    assert (taken.accepted, taken.rejected, taken.errors[0].row) == (3, 1, 2)
    until(lambda: dunlin.state()["objects"] == 3)
    assert abs(dunlin.object("11").time - frame["time"].iloc[0]).total_seconds() < 0.001
    out = dunlin.ask(knn(2, at=(0, 0))).to_frame()
    assert list(out.columns) == ["object", "lon", "lat", "distance", "time"]
    assert out["object"].tolist() == ["11", "12"]
    assert out[["lon", "lat", "distance"]].to_numpy().tolist() == [[1.5, 0, 1.5], [2.5, 0, 2.5]]
    assert str(out["time"].dtype).startswith("datetime64[") and str(out["time"].dt.tz) == "UTC"
    # What comes out can go in.
    assert dunlin.send(out).accepted == 2
    assert dunlin.ask(inside(SQUARE)).to_frame()["distance"].isna().all()


def test_an_empty_answer_is_an_empty_frame(dunlin: Dunlin) -> None:
    out = dunlin.ask(knn(2, object="nobody")).to_frame()
    assert (len(out), list(out.columns)[0]) == (0, "object")
    assert out["distance"].dtype == float
    assert dunlin.send(out[["object", "lon", "lat"]]).accepted == 0


def test_a_frame_without_a_column_is_refused(dunlin: Dunlin) -> None:
    with pytest.raises(ValueError, match="lat"):
        dunlin.send(pandas.DataFrame({"object": ["a"], "lon": [1.0]}))
    nameless = pandas.DataFrame({"object": [None], "lon": [1.0], "lat": [1.0]})
    with pytest.raises(ValueError, match="name"):
        dunlin.send(nameless)


def test_passages_and_reports_are_frames(dunlin: Dunlin) -> None:
    dunlin.create("pairs", cooccurrence(xi="60s", tau="30m", theta=2))
    passages = pandas.DataFrame({"object": ["A", "B"] * 2, "stream": ["c1", "c1", "c2", "c2"]})
    assert dunlin.send_events(passages).accepted == 4

    def reports() -> pandas.DataFrame:
        answer = dunlin.answer("pairs")
        assert isinstance(answer, Reports)
        return answer.to_frame()

    until(lambda: len(reports()) == 1)
    row = reports().iloc[0]
    assert (row["objects"], row["support"], row["streams"]) == (["A", "B"], 2, ["c1", "c2"])


def test_frames_need_pandas_and_nothing_else_does(server: Server) -> None:
    """In a Python whose pandas cannot be imported."""
    code = f"""
import sys
sys.modules["pandas"] = None
from dunlin_client import Dunlin, knn
with Dunlin({server.url!r}) as dunlin:
    dunlin.send([("a", 1, 0)])
    answer = dunlin.ask(knn(1, at=(0, 0)))
try:
    answer.to_frame()
except ImportError:
    print("no pandas")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "no pandas\n", done.stderr
