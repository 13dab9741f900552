"""What the server says: answers, what changed in them, reports, objects, acknowledgements.

All are immutable. Times are aware datetimes in UTC; distances are metres, or units of the plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from .queries import Json, Point

if TYPE_CHECKING:
    import pandas

REPORTS_KEPT = 1_000
"""Reports that the answer of a co-occurrence query keeps, as the server does: the last ones."""


@dataclass(frozen=True)
class Object:
    """An object of an answer; `inside` asks for no distance."""

    id: str
    at: Point
    distance: float | None = None


@dataclass(frozen=True)
class Located:
    """An object, where it was reported last, and when."""

    id: str
    at: Point
    time: datetime


@dataclass(frozen=True)
class Answer:
    """The objects of a query at the end of an epoch, in the order of the query."""

    query: str | None
    time: datetime
    objects: tuple[Object, ...]

    @property
    def ids(self) -> list[str]:
        """The ids alone, in order."""
        return [it.id for it in self.objects]

    def to_frame(self) -> pandas.DataFrame:
        """Columns object, lon, lat, distance, time: a row an object."""
        import pandas

        rows = [(it.id, *it.at, it.distance, self.time) for it in self.objects]
        frame = pandas.DataFrame(rows, columns=["object", "lon", "lat", "distance", "time"])
        return frame.astype({"lon": float, "lat": float, "distance": float})


@dataclass(frozen=True)
class Leave:
    """An object is no longer in the answer."""

    id: str


@dataclass(frozen=True)
class Enter:
    """An object is new in the answer, at a rank (from 0) of the new list."""

    rank: int
    object: Object


@dataclass(frozen=True)
class Reorder:
    """An object has a new rank (from 0) among the others."""

    rank: int
    object: Object


@dataclass(frozen=True)
class Move:
    """An object that keeps its order is elsewhere now, or at another distance."""

    object: Object


Change: TypeAlias = Leave | Enter | Reorder | Move
"""One change of an answer."""


@dataclass(frozen=True)
class Delta:
    """What changed in an answer by the end of an epoch: first who leaves, then by rank."""

    query: str
    time: datetime
    changes: tuple[Change, ...]

    def apply(self, answer: Answer) -> Answer:
        """The answer after the changes.

        It is exact at the end of the delta's epoch. There is no delta of an epoch that left the list
        as it was: ask `client.answer` for the distances of now.
        """
        gone = {it.id for it in self.changes if isinstance(it, Leave)}
        gone |= {it.object.id for it in self.changes if isinstance(it, Reorder)}
        moved = {it.object.id: it.object for it in self.changes if isinstance(it, Move)}
        objects = [moved.get(it.id, it) for it in answer.objects if it.id not in gone]
        for change in self.changes:
            if isinstance(change, (Enter, Reorder)):
                objects.insert(change.rank, change.object)
        return replace(answer, time=self.time, objects=tuple(objects))


@dataclass(frozen=True)
class Occurrence:
    """Where the objects of a report were together: from the first passage to the last."""

    stream: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Report:
    """A set of objects that has become frequent."""

    time: datetime
    objects: tuple[str, ...]
    support: int
    occurrences: tuple[Occurrence, ...]


@dataclass(frozen=True)
class Reports:
    """The last reports of a co-occurrence query, oldest first."""

    query: str
    time: datetime
    reports: tuple[Report, ...]

    def to_frame(self) -> pandas.DataFrame:
        """Columns time, objects (a list), support, streams (a list): a row a report."""
        import pandas

        rows = [
            (it.time, list(it.objects), it.support, [met.stream for met in it.occurrences])
            for it in self.reports
        ]
        return pandas.DataFrame(rows, columns=["time", "objects", "support", "streams"])


@dataclass(frozen=True)
class ReportDelta:
    """More reports of a co-occurrence query."""

    query: str
    time: datetime
    reports: tuple[Report, ...]

    def apply(self, answer: Reports) -> Reports:
        """The reports with the new ones behind them, the last thousand."""
        reports = (answer.reports + self.reports)[-REPORTS_KEPT:]
        return replace(answer, time=self.time, reports=reports)


Whole: TypeAlias = Answer | Reports
"""The answer of a standing query."""

Event: TypeAlias = Answer | Delta | Reports | ReportDelta
"""What a subscriber gets: a whole answer (forget what came before), or what changed."""


@dataclass(frozen=True)
class Rejected:
    """A row that was not taken: its place (from 0) among those sent, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class Taken:
    """What became of rows that were sent: the log has those that were accepted."""

    accepted: int = 0
    rejected: int = 0
    errors: tuple[Rejected, ...] = ()
    """The first few of each batch that were rejected."""
    next_sequence: int | None = None
    """The number for the next batch of this producer."""
    held: int = 0
    """Rows that wait outside the log, as far as no newer one replaces them."""
    shed: int = 0
    """Rows that were dropped."""


def whole_of(said: Json) -> Whole:
    """An answer or reports, by what is in it."""
    if "reports" in said:
        reports = tuple(map(_report, said["reports"]))
        return Reports(said["query"], time_of(said["time"]), reports)
    objects = tuple(map(_object, said["objects"]))
    return Answer(said.get("query"), time_of(said["time"]), objects)


def delta_of(said: Json) -> Delta | ReportDelta:
    """The changes of a query."""
    query, time, changes = said["query"], time_of(said["time"]), said["changes"]
    reports = tuple(_report(it["report"]) for it in changes if "report" in it)
    if reports:
        return ReportDelta(query, time, reports)
    return Delta(query, time, tuple(map(_change, changes)))


def located_of(said: Json) -> Located:
    return Located(said["id"], _point(said["at"]), time_of(said["time"]))


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _point(said: list[float]) -> Point:
    return (float(said[0]), float(said[1]))


def _object(said: Json) -> Object:
    return Object(said["id"], _point(said["at"]), said.get("distance"))


def _change(said: Json) -> Change:
    [(kind, what)] = said.items()
    if kind == "leave":
        return Leave(what)
    if kind == "enter":
        return Enter(what["rank"], _object(what))
    if kind == "move":
        return Move(_object(what))
    return Reorder(what["rank"], _object(what))


def _report(said: Json) -> Report:
    met = tuple(
        Occurrence(it["stream"], time_of(it["from"]), time_of(it["to"]))
        for it in said["occurrences"]
    )
    return Report(time_of(said["time"]), tuple(said["objects"]), said["support"], met)
