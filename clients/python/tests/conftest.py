"""A server for each module, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving import Server

from dunlin_client import Dunlin


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server("--space", "plane")
    yield server
    server.kill()


@pytest.fixture
def dunlin(server: Server) -> Iterator[Dunlin]:
    """A client; the queries of a test go with it, its objects stay."""
    with Dunlin(server.url) as dunlin:
        yield dunlin
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(dunlin.delete, [query.id for query in dunlin.queries()]))
