"""Tokens: who shows one may do what its scopes say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server

from dunlin_client import AsyncDunlin, Denied, Dunlin, knn

TOKENS = """
[[token]]
name = "reader"
secret = "reader-0123456789"
scopes = ["read"]

[[token]]
name = "all"
secret = "all-0123456789abc"
scopes = ["read", "write"]
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    server = Server("--tokens", str(path))
    yield server
    server.kill()


def test_a_token_opens_what_its_scopes_say(guarded: Server) -> None:
    rows = [("t7", 1.0, 2.0)]
    with Dunlin(guarded.url) as nobody, pytest.raises(Denied, match="asks for a token") as denied:
        nobody.queries()
    assert denied.value.status == 401
    with Dunlin(guarded.url, token="all-0123456789abc") as dunlin:
        dunlin.create("near", knn(1, at=(1, 2)))
        assert dunlin.send(rows).accepted == 1
        with dunlin.subscribe("near") as events:
            next(events)
    with Dunlin(guarded.url, token="reader-0123456789") as reader:
        assert [query.id for query in reader.queries()] == ["near"]
        with pytest.raises(Denied, match="write") as denied:
            reader.send(rows)
        assert denied.value.status == 403


def test_asyncio_shows_it_too(guarded: Server) -> None:
    async def run() -> None:
        async with AsyncDunlin(guarded.url, token="reader-0123456789") as reader:
            assert await reader.queries() == []
            with pytest.raises(Denied):
                await reader.delete("near")
        async with AsyncDunlin(guarded.url, token="wrong") as nobody:
            with pytest.raises(Denied, match="does not know the token"):
                await nobody.state()

    asyncio.run(run())
