"""The client for programs that wait: plain calls, a plain iterator."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from ssl import SSLContext
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource

from . import calls
from .answers import Answer, Event, Located, Taken, Whole
from .calls import STREAM_SILENCE_S, Call, Followed, Numbers, Retries, Sending, State
from .errors import Busy, DunlinError, Unreachable
from .queries import Question, Standing, StandingQuery
from .rows import Passages, Positions, passage_lines, position_lines

T = TypeVar("T")


class Dunlin:
    """A Dunlin server, over HTTP.

    Methods raise a `Problem` if the server refuses and `Unreachable` if nobody answers. A client
    may be shared by threads; a subscription has a connection of its own and is for one.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:7878",
        *,
        timeout_s: float = 30.0,
        patience_s: float = 60.0,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        verify: bool | SSLContext = True,
    ) -> None:
        """`timeout_s` bounds each wait for the server, `patience_s` how long a cut subscription or
        a numbered batch is tried again. A server that asks for a `token` is best reached by
        https, with `verify` for a certificate of one's own."""
        headers = calls.headers_of(token, headers)
        tls = httpx.create_ssl_context(verify=verify)
        self._open = partial(
            httpx.Client, base_url=url, timeout=timeout_s, headers=headers, verify=tls
        )
        self._http = self._open()
        self._patience_s = patience_s

    def send(
        self,
        positions: Positions,
        *,
        batch_rows: int = 10_000,
        producer: int | None = None,
        sequence: int = 0,
        overload: str | None = None,
    ) -> Taken:
        """Sends positions; all are in the server's log when it returns.

        Rows that are no good are counted and told in `Taken`, the others are taken. With a
        `producer`, a number that is yours alone, the batches are numbered from `sequence` on: each
        takes effect once, however often it is sent, and is sent again while nobody answers. Go on
        with `Taken.next_sequence`; a DunlinError has it in `taken`, too.

        While the server is behind, this waits. With `overload` "latest" only the newest position of
        each object waits, outside the log, and with "shed" or "shed:80" rows are dropped while so
        many per cent of the server's credit are in use; `Taken` counts them. Not with a `producer`.
        """
        numbers = None if producer is None else Numbers(producer, sequence)
        lines = position_lines(positions)
        return self._send(Sending("/v1/positions", lines, batch_rows, numbers, overload))

    def send_events(
        self,
        passages: Passages,
        *,
        batch_rows: int = 10_000,
        producer: int | None = None,
        sequence: int = 0,
    ) -> Taken:
        """Sends passages to the co-occurrence queries, as `send` does positions."""
        numbers = None if producer is None else Numbers(producer, sequence)
        return self._send(Sending("/v1/events", passage_lines(passages), batch_rows, numbers))

    def create(self, id: str, question: Standing) -> StandingQuery:
        """Registers a query; its first answer is there when this returns."""
        return self._call(calls.create(id, question))

    def queries(self) -> list[StandingQuery]:
        """All standing queries, in the order of their creation."""
        found: list[StandingQuery] = []
        while True:
            page, total = self._call(calls.page(len(found)))
            found += page
            if not page or len(found) >= total:
                return found

    def query(self, id: str) -> StandingQuery:
        """A standing query."""
        return self._call(calls.get(id))

    def delete(self, id: str) -> None:
        """Removes a query."""
        self._call(calls.delete(id))

    def answer(self, id: str) -> Whole:
        """The answer of a query at the end of the last epoch."""
        return self._call(calls.answer(id))

    def ask(self, question: Question) -> Answer:
        """Answers a question once."""
        return self._call(calls.ask(question))

    def object(self, id: str) -> Located:
        """Where an object is."""
        return self._call(calls.object(id))

    def state(self) -> State:
        """How the server is."""
        return self._call(calls.state())

    def subscribe(self, id: str, *, after: str | None = None) -> Subscription:
        """Follows a query: its whole answer, then what changes.

        `after` is the `last_event_id` of an earlier subscription: what came since is told first.
        """
        return Subscription(self._open, id, after, self._patience_s)

    def close(self) -> None:
        """Closes the connections; subscriptions have their own."""
        self._http.close()

    def __enter__(self) -> Dunlin:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _call(self, call: Call[T]) -> T:
        try:
            return call.result(self._http.send(call.request(self._http)))
        except httpx.TransportError as error:
            raise calls.unreachable(error) from error

    def _send(self, sending: Sending) -> Taken:
        try:
            for call in sending.calls():
                sending.add(self._deliver(call) if sending.is_numbered else self._call(call))
        except DunlinError as error:
            error.taken = sending.taken
            raise
        return sending.taken

    def _deliver(self, call: Call[T]) -> T:
        retries = Retries(self._patience_s)
        while True:
            try:
                return self._call(call)
            except (Busy, Unreachable) as error:
                time.sleep(retries.pause(error))


class Subscription(Followed, Iterator[Event]):
    """The events of a query, one after the other, for ever.

    A connection that is cut is opened again, and goes on after the last event: each is seen once.
    It ends with NotFound when the query is removed, and with Unreachable when the server stays
    away. Leave it by `close`, or use it in a `with`.
    """

    def __init__(
        self, open: Callable[[], httpx.Client], query: str, after: str | None, patience_s: float
    ) -> None:
        super().__init__(query, after)
        self._patience_s = patience_s
        self._events = self._run(open)

    def __next__(self) -> Event:
        return next(self._events)

    def answers(self) -> Iterator[Whole]:
        """The whole answer after each event."""
        for _ in self:
            if self.answer is not None:
                yield self.answer

    def close(self) -> None:
        """Ends the subscription."""
        self._events.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _run(self, open: Callable[[], httpx.Client]) -> Generator[Event, None, None]:
        # A pool of its own: the garbage collector may close a forgotten subscription at any time,
        # also while a call of the client holds the lock of the client's pool.
        with open() as http:
            # Who cannot connect at all is told at once; who was connected is patient.
            retries = Retries(0)
            while True:
                failure: DunlinError = Unreachable("the stream ended")
                try:
                    with closing(self._connected(http)) as events:
                        for event in events:
                            retries = Retries(self._patience_s)
                            if event is not None:
                                yield event
                except httpx.TransportError as error:
                    failure = calls.unreachable(error)
                except Busy as error:
                    failure = error
                time.sleep(retries.pause(failure))

    def _connected(self, http: httpx.Client) -> Generator[Event | None, None, None]:
        """None when the server has agreed, then the events of one connection."""
        call = self._request()
        request = call.request(http)
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": STREAM_SILENCE_S}
        response = http.send(request, stream=True)
        try:
            if not response.is_success:
                response.read()
                call.result(response)
            yield None
            for message in EventSource(response).iter_sse():
                yield self._take(message.event, message.id, message.data)
        finally:
            response.close()
