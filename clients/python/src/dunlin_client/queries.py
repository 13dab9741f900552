"""Questions: the nearest k, all within a radius, all inside an area, who turns up together.

The builders make immutable values; `client.create("q1", knn(10, at=(116.39, 39.91)))` registers
one. What a number must be like is the server's to say: it answers with the field and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

Point = tuple[float, float]
"""Longitude and latitude in degrees; x and y in the plane."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Knn:
    """The k objects nearest a point or an object (itself left out)."""

    k: int
    at: Point | None = None
    object: str | None = None

    def to_json(self) -> Json:
        return {"knn": {"k": self.k, **_focus(self.at, self.object)}}


@dataclass(frozen=True)
class Within:
    """All objects at most `radius` metres (units of the plane) from a point or an object."""

    radius: float
    at: Point | None = None
    object: str | None = None

    def to_json(self) -> Json:
        return {"within": {"radius": self.radius, **_focus(self.at, self.object)}}


@dataclass(frozen=True)
class Inside:
    """All objects in an area, its boundary included."""

    area: Mapping[str, Any]

    def to_json(self) -> Json:
        return {"inside": {"area": dict(self.area)}}


@dataclass(frozen=True)
class Cooccurrence:
    """Sets of objects seen together (within `xi`) in `theta` streams (within `tau`); passages may
    come by `lateness` later than the newest."""

    xi: str
    tau: str
    theta: int
    lateness: str | None = None

    def to_json(self) -> Json:
        rule: Json = {"xi": self.xi, "tau": self.tau, "theta": self.theta}
        if self.lateness is not None:
            rule["lateness"] = self.lateness
        return {"cooccurrence": rule}


Question: TypeAlias = Knn | Within | Inside
"""What can be asked once."""

Standing: TypeAlias = Knn | Within | Inside | Cooccurrence
"""What can be registered."""


@dataclass(frozen=True)
class StandingQuery:
    """A question under the id that it is registered by."""

    id: str
    question: Standing

    def to_json(self) -> Json:
        return {"id": self.id, **self.question.to_json()}

    @classmethod
    def from_json(cls, said: Json) -> StandingQuery:
        return cls(said["id"], _question(said))


def knn(k: int, *, at: Point | None = None, object: str | None = None) -> Knn:
    """The k objects nearest a point or an object: name one of the two."""
    return Knn(k, _checked(at, object), object)


def within(radius: float, *, at: Point | None = None, object: str | None = None) -> Within:
    """All objects at most `radius` metres from a point or an object: name one of the two."""
    return Within(radius, _checked(at, object), object)


def inside(area: Mapping[str, Any]) -> Inside:
    """All objects in a GeoJSON Polygon or MultiPolygon.

    A Feature of one stands for it, and so does what has `__geo_interface__`, as shapely's have.
    """
    area = getattr(area, "__geo_interface__", area)
    return Inside(area["geometry"] if area.get("type") == "Feature" else area)


def cooccurrence(
    *,
    xi: str | timedelta,
    tau: str | timedelta,
    theta: int,
    lateness: str | timedelta | None = None,
) -> Cooccurrence:
    """Sets of objects with passages within `xi` of each other in `theta` streams within `tau`.

    A passage may come by `lateness` later than the newest, by a second if that is not given; later
    ones are counted, and reports wait as long. Spans are texts as "60s" and "30m", or timedeltas of whole milliseconds.
    """
    late = None if lateness is None else _span(lateness)
    return Cooccurrence(_span(xi), _span(tau), theta, late)


def _checked(at: Point | None, object: str | None) -> Point | None:
    if (at is None) == (object is None):
        raise TypeError("name either at=(lon, lat) or object='id'")
    return None if at is None else (at[0], at[1])


def _focus(at: Point | None, object: str | None) -> Json:
    return {"object": object} if at is None else {"at": list(at)}


def _span(span: str | timedelta) -> str:
    if isinstance(span, str):
        return span
    return f"{span // timedelta(milliseconds=1)}ms"


def _question(said: Json) -> Standing:
    kinds = {"knn": Knn, "within": Within, "inside": Inside, "cooccurrence": Cooccurrence}
    [(name, kind)] = [(name, kind) for name, kind in kinds.items() if said.get(name) is not None]
    fields = {name: value for name, value in said[name].items() if value is not None}
    if "at" in fields:
        fields["at"] = tuple(fields["at"])
    question: Standing = kind(**fields)
    return question
