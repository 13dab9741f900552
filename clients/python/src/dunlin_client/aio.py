"""The client for asyncio: that of `client.py`, and `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from ssl import SSLContext
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource

from . import calls
from .answers import Answer, Event, Located, Taken, Whole
from .calls import NO_LIMITS, STREAM_SILENCE_S, Call, Followed, Numbers, Retries, Sending, State
from .errors import Busy, DunlinError, Unreachable
from .queries import Question, Standing, StandingQuery
from .rows import Passages, Positions, passage_lines, position_lines

T = TypeVar("T")


class AsyncDunlin:
    """A Dunlin server, over HTTP.

    Methods raise a `Problem` if the server refuses and `Unreachable` if nobody answers. A client
    may be shared by tasks; a subscription has a connection of its own and is for one.
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
        self._http = httpx.AsyncClient(
            base_url=url, timeout=timeout_s, headers=headers, verify=verify, limits=NO_LIMITS
        )
        self._patience_s = patience_s

    async def send(
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
        with `Taken.next_sequence`; a DunlinError has it in `taken`, too. What `overload` is, `Dunlin.send`
        says.
        """
        numbers = None if producer is None else Numbers(producer, sequence)
        lines = position_lines(positions)
        return await self._send(Sending("/v1/positions", lines, batch_rows, numbers, overload))

    async def send_events(
        self,
        passages: Passages,
        *,
        batch_rows: int = 10_000,
        producer: int | None = None,
        sequence: int = 0,
    ) -> Taken:
        """Sends passages to the co-occurrence queries, as `send` does positions."""
        numbers = None if producer is None else Numbers(producer, sequence)
        return await self._send(Sending("/v1/events", passage_lines(passages), batch_rows, numbers))

    async def create(self, id: str, question: Standing) -> StandingQuery:
        """Registers a query; its first answer is there when this returns."""
        return await self._call(calls.create(id, question))

    async def queries(self) -> list[StandingQuery]:
        """All standing queries, in the order of their creation."""
        found: list[StandingQuery] = []
        while True:
            page, total = await self._call(calls.page(len(found)))
            found += page
            if not page or len(found) >= total:
                return found

    async def query(self, id: str) -> StandingQuery:
        """A standing query."""
        return await self._call(calls.get(id))

    async def delete(self, id: str) -> None:
        """Removes a query."""
        await self._call(calls.delete(id))

    async def answer(self, id: str) -> Whole:
        """The answer of a query at the end of the last epoch."""
        return await self._call(calls.answer(id))

    async def ask(self, question: Question) -> Answer:
        """Answers a question once."""
        return await self._call(calls.ask(question))

    async def object(self, id: str) -> Located:
        """Where an object is."""
        return await self._call(calls.object(id))

    async def state(self) -> State:
        """How the server is."""
        return await self._call(calls.state())

    def subscribe(self, id: str, *, after: str | None = None) -> AsyncSubscription:
        """Follows a query: its whole answer, then what changes.

        `after` is the `last_event_id` of an earlier subscription: what came since is told first.
        """
        return AsyncSubscription(self._http, id, after, self._patience_s)

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncDunlin:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _call(self, call: Call[T]) -> T:
        try:
            return call.result(await self._http.send(call.request(self._http)))
        except httpx.TransportError as error:
            raise calls.unreachable(error) from error

    async def _send(self, sending: Sending) -> Taken:
        try:
            for call in sending.calls():
                sending.add(
                    await self._deliver(call) if sending.is_numbered else await self._call(call)
                )
        except DunlinError as error:
            error.taken = sending.taken
            raise
        return sending.taken

    async def _deliver(self, call: Call[T]) -> T:
        retries = Retries(self._patience_s)
        while True:
            try:
                return await self._call(call)
            except (Busy, Unreachable) as error:
                await asyncio.sleep(retries.pause(error))


class AsyncSubscription(Followed, AsyncIterator[Event]):
    """The events of a query, one after the other, for ever.

    A connection that is cut is opened again, and goes on after the last event: each is seen once.
    It ends with NotFound when the query is removed, and with Unreachable when the server stays
    away. Leave it by `close`, or use it in an `async with`.
    """

    def __init__(
        self, http: httpx.AsyncClient, query: str, after: str | None, patience_s: float
    ) -> None:
        super().__init__(query, after)
        self._http, self._patience_s = http, patience_s
        self._events = self._run()

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def answers(self) -> AsyncIterator[Whole]:
        """The whole answer after each event."""
        async for _ in self:
            if self.answer is not None:
                yield self.answer

    async def close(self) -> None:
        """Ends the subscription."""
        await self._events.aclose()

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _run(self) -> AsyncGenerator[Event, None]:
        # Who cannot connect at all is told at once; who was connected is patient.
        retries = Retries(0)
        while True:
            failure: DunlinError = Unreachable("the stream ended")
            try:
                async with aclosing(self._connected()) as events:
                    async for event in events:
                        retries = Retries(self._patience_s)
                        if event is not None:
                            yield event
            except httpx.TransportError as error:
                failure = calls.unreachable(error)
            except Busy as error:
                failure = error
            await asyncio.sleep(retries.pause(failure))

    async def _connected(self) -> AsyncGenerator[Event | None, None]:
        """None when the server has agreed, then the events of one connection."""
        call = self._request()
        request = call.request(self._http)
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": STREAM_SILENCE_S}
        response = await self._http.send(request, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                call.result(response)
            yield None
            async for message in EventSource(response).aiter_sse():
                yield self._take(message.event, message.id, message.data)
        finally:
            await response.aclose()
