"""What both clients do alike, without a socket: requests, how answers read, when to try again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from .answers import (
    Answer,
    Delta,
    Event,
    Located,
    Rejected,
    ReportDelta,
    Reports,
    Taken,
    Whole,
    delta_of,
    located_of,
    whole_of,
)
from .errors import DunlinError, Unreachable, problem_of
from .queries import Question, Standing, StandingQuery
from .rows import batches

T = TypeVar("T")

PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 5.0
NO_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Each subscription holds a connection."""
STREAM_SILENCE_S = 45.0
"""A stream that is silent for so long is broken: the server says something every 15 seconds."""


class Records(TypedDict):
    """Records that came in, by what became of them."""

    applied: int
    late: int
    rejected: int
    duplicate: int


class CooccurrenceState(TypedDict):
    """A co-occurrence query at work."""

    id: str
    records: Records


# `from` is a keyword: these two cannot be written as classes.
Border: TypeAlias = float | None
"""A value of x; None where a range is open."""
Shard = TypedDict("Shard", {"from": Border, "to": Border, "objects": int, "queries": int})
"""A shard: its range of x, objects and queries."""
Strip = TypedDict("Strip", {"from": Border, "to": Border, "objects": int, "shard": int})
"""A strip: its range of x, its objects, and the number of its shard."""


class Tiles(TypedDict):
    """Whose tiles the live map is drawn on; `url` has {z}, {x} and {y}."""

    url: str
    credit: str
    zoom_max: int


class State(TypedDict):
    """How the server is; `lag_ms` is how far answers are behind the clock."""

    time: str
    space: Literal["sphere", "plane"]
    objects: int
    queries: int
    subscribers: int
    lanes: int
    lag_ms: int
    tiles: Tiles | None
    roads: bool
    bounds: list[float] | None
    records: Records
    cooccurrences: list[CooccurrenceState]
    shards: list[Shard]
    strips: list[Strip]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer reads."""

    method: str
    path: str
    read: Callable[[Any], T]
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        return http.build_request(
            self.method, self.path, content=self.content, headers=self.headers
        )

    def result(self, response: httpx.Response) -> T:
        """What the answer says; a Problem if the server refused."""
        if not response.is_success:
            raise problem_of(response)
        try:
            return self.read(json.loads(response.content) if response.content else None)
        except (ValueError, KeyError, TypeError) as error:
            raise DunlinError(f"{self.path}: not an answer of Dunlin: {error!r}") from error


def create(id: str, question: Standing) -> Call[StandingQuery]:
    body = {"id": id, **question.to_json()}
    return _post("/v1/queries", body, StandingQuery.from_json)


def ask(question: Question) -> Call[Answer]:
    return _post("/v1/query", question.to_json(), _answer)


def page(offset: int) -> Call[tuple[list[StandingQuery], int]]:
    """A page of the queries, and how many there are."""

    def read(said: Any) -> tuple[list[StandingQuery], int]:
        return [StandingQuery.from_json(it) for it in said["queries"]], said["total"]

    return Call("GET", f"/v1/queries?offset={offset}", read)


def get(id: str) -> Call[StandingQuery]:
    return Call("GET", query_path(id), StandingQuery.from_json)


def delete(id: str) -> Call[None]:
    return Call("DELETE", query_path(id), lambda _: None)


def answer(id: str) -> Call[Whole]:
    return Call("GET", f"{query_path(id)}/answer", whole_of)


def object(id: str) -> Call[Located]:
    return Call("GET", f"/v1/objects/{_encoded(id)}", located_of)


def state() -> Call[State]:
    return Call("GET", "/v1/state", lambda said: said)


def headers_of(token: str | None, others: dict[str, str] | None) -> dict[str, str]:
    """The headers of every request."""
    shown = {} if token is None else {"authorization": f"Bearer {token}"}
    return {**shown, **(others or {})}


def query_path(id: str) -> str:
    return f"/v1/queries/{_encoded(id)}"


def unreachable(error: httpx.TransportError) -> Unreachable:
    """The exception for a connection that failed."""
    return Unreachable(str(error) or type(error).__name__)


@dataclass(frozen=True)
class Numbers:
    """Who sends, and the number of its first batch: what makes a batch take effect once."""

    producer: int
    sequence: int


class Sending:
    """Rows that are sent batch by batch, and what became of those before."""

    def __init__(
        self,
        path: str,
        lines: Iterator[bytes],
        batch_rows: int,
        numbers: Numbers | None,
        overload: str | None = None,
    ) -> None:
        self._path, self._numbers, self._overload = path, numbers, overload
        self._batches = batches(lines, batch_rows)
        self.taken = Taken(next_sequence=numbers.sequence if numbers else None)

    @property
    def is_numbered(self) -> bool:
        """Whether a batch may be sent again: the server knows it by its number."""
        return self._numbers is not None

    def calls(self) -> Iterator[Call[Taken]]:
        """The requests; each must have been given to `add` before the next is asked for."""
        for before, content in self._batches:
            headers = {"content-type": "application/x-ndjson"}
            if self._overload is not None:
                headers["dunlin-overload"] = self._overload
            if self._numbers:
                headers["dunlin-producer"] = str(self._numbers.producer)
                headers["dunlin-sequence"] = str(self.taken.next_sequence)
            yield Call("POST", self._path, _taken_after(before), content, headers)

    def add(self, batch: Taken) -> None:
        """A batch is in the log."""
        number = self.taken.next_sequence
        self.taken = Taken(
            accepted=self.taken.accepted + batch.accepted,
            rejected=self.taken.rejected + batch.rejected,
            errors=self.taken.errors + batch.errors,
            next_sequence=None if number is None else number + 1,
            held=self.taken.held + batch.held,
            shed=self.taken.shed + batch.shed,
        )


class Retries:
    """When to try again: after a tenth of a second, then twice as long each time, until patience
    is at an end."""

    def __init__(self, patience_s: float) -> None:
        self._end = time.monotonic() + patience_s
        self._pause = PAUSE_S_MIN

    def pause(self, error: Exception) -> float:
        """Seconds to wait before the next attempt; raises the error instead when there is none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise error
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE_S_MAX)
        return min(pause, left)


class Followed:
    """What a subscriber has seen of a query."""

    def __init__(self, query: str, after: str | None) -> None:
        self.query = query
        self.last_event_id = after
        """Where to go on: `client.subscribe(query, after=last_event_id)`, today or tomorrow."""
        self.answer: Whole | None = None
        """The whole answer as of the last event; None until a whole one was told."""

    def _request(self) -> Call[None]:
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if self.last_event_id is not None:
            headers["last-event-id"] = self.last_event_id
        return Call("GET", f"{query_path(self.query)}/stream", lambda _: None, None, headers)

    def _take(self, kind: str, id: str, text: str) -> Event | None:
        """The event of a message; None for one of a kind that this version does not know."""
        if kind not in ("answer", "delta"):
            return None
        said = json.loads(text)
        event = whole_of(said) if kind == "answer" else delta_of(said)
        self.last_event_id = id or self.last_event_id
        self.answer = after_event(self.answer, event)
        return event


def after_event(answer: Whole | None, event: Event) -> Whole | None:
    """The whole answer after an event."""
    if isinstance(event, (Answer, Reports)):
        return event
    if isinstance(event, Delta) and isinstance(answer, Answer):
        return event.apply(answer)
    if isinstance(event, ReportDelta) and isinstance(answer, Reports):
        return event.apply(answer)
    return None


def _post(path: str, body: Any, read: Callable[[Any], T]) -> Call[T]:
    headers = {"content-type": "application/json"}
    return Call("POST", path, read, json.dumps(body).encode(), headers)


def _encoded(id: str) -> str:
    # A part of dots alone would be taken for a way up.
    return quote(id, safe="") if id.strip(".") else id.replace(".", "%2E")


def _answer(said: Any) -> Answer:
    answer = whole_of(said)
    assert isinstance(answer, Answer), "what is asked once is answered with objects"
    return answer


def _taken_after(before: int) -> Callable[[Any], Taken]:
    def read(said: Any) -> Taken:
        # The server counts lines from 1, Python rows from 0.
        errors = tuple(Rejected(before + it["line"] - 1, it["reason"]) for it in said["errors"])
        held, shed = said.get("held", 0), said.get("shed", 0)
        return Taken(said["accepted"], said["rejected"], errors, held=held, shed=shed)

    return read
