"""Rows on their way to the server: dataclasses, tuples or a pandas frame, as batches of lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from .queries import Json

if TYPE_CHECKING:
    import pandas

Time: TypeAlias = datetime | str | int | None
"""A datetime (UTC if it has no zone), RFC 3339, seconds or milliseconds since 1970; None is now."""


@dataclass(frozen=True)
class Position:
    """Where an object is: degrees on the sphere, x and y in the plane."""

    object: str
    lon: float
    lat: float
    time: Time = None


@dataclass(frozen=True)
class Passage:
    """An object passes a camera, a gate, a sensor."""

    stream: str
    object: str
    time: Time = None


PositionRow: TypeAlias = Position | tuple[str, float, float] | tuple[str, float, float, Time]
Positions: TypeAlias = "Iterable[PositionRow] | pandas.DataFrame"
"""Positions, tuples (object, lon, lat[, time]), or a frame with columns of these names."""

PassageRow: TypeAlias = Passage | tuple[str, str] | tuple[str, str, Time]
Passages: TypeAlias = "Iterable[PassageRow] | pandas.DataFrame"
"""Passages, tuples (stream, object[, time]), or a frame with columns of these names."""


def position_lines(rows: Positions) -> Iterator[bytes]:
    """A line of JSON for each position; ValueError for a row that is none."""
    for row in _tuples(rows, ("object", "lon", "lat")):
        object, lon, lat, *time = _fields(row, ("object", "lon", "lat", "time"), 3)
        yield _line({"object": _name(object), "at": [_number(lon), _number(lat)]}, time)


def passage_lines(rows: Passages) -> Iterator[bytes]:
    """A line of JSON for each passage; ValueError for a row that is none."""
    for row in _tuples(rows, ("stream", "object")):
        stream, object, *time = _fields(row, ("stream", "object", "time"), 2)
        yield _line({"stream": _name(stream), "object": _name(object)}, time)


def batches(lines: Iterator[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """Bodies of at most `size` lines, each with the number of the lines before it."""
    if size < 1:
        raise ValueError("a batch has at least one row")
    before = 0
    while batch := list(islice(lines, size)):
        yield before, b"".join(batch)
        before += len(batch)


def _tuples(rows: Any, columns: tuple[str, ...]) -> Iterable[Any]:
    if not hasattr(rows, "itertuples"):
        return rows  # type: ignore[no-any-return]
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise ValueError(f"the frame has no column {missing[0]!r}")
    names = [*columns, "time"] if "time" in rows.columns else list(columns)
    return zip(*(rows[name] for name in names), strict=True)


def _fields(row: Any, names: tuple[str, ...], needed: int) -> tuple[Any, ...]:
    if isinstance(row, (Position, Passage)):
        row = tuple(getattr(row, name, None) for name in names)
    if not isinstance(row, (tuple, list)) or not needed <= len(row) <= len(names):
        raise ValueError(f"a row is ({', '.join(names)}), the time may be left out; not {row!r}")
    return tuple(row)


def _line(row: Json, time: list[Any]) -> bytes:
    if time and (text := _time(time[0])) is not None:
        row["time"] = text
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _name(name: Any) -> str:
    if isinstance(name, str):
        return name
    if hasattr(name, "__index__") and not isinstance(name, bool):
        return str(index(name))
    raise ValueError(f"a name is a text or a whole number, not {name!r}")


def _number(number: Any) -> float:
    # What is not finite becomes a row that the server rejects with its reason, not a broken batch.
    return float(number)


def _time(time: Any) -> str | int | None:
    # NaT and NaN are not equal to themselves.
    if time is None or time != time:
        return None
    if isinstance(time, datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    if isinstance(time, float) and math.isfinite(time) and time.is_integer():
        return int(time)
    if isinstance(time, str):
        return time
    if hasattr(time, "__index__") and not isinstance(time, bool):
        return index(time)
    raise ValueError(f"a time is a datetime, a text or a whole number, not {time!r}")
