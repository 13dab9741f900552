"""A server for each test, and a gRPC client of it."""

from collections.abc import Iterator

import pytest
from rpc import Rpc
from serving import Server


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server("--space", "plane")
    yield server
    server.kill()


@pytest.fixture
def rpc(server: Server) -> Iterator[Rpc]:
    rpc = Rpc(server.grpc)
    yield rpc
    rpc.close()
