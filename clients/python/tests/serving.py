"""A real server for tests: the binary that DUNLIN_BIN names, on ports that are free."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")


def binary() -> str:
    """The path of the binary."""
    path = os.environ.get("DUNLIN_BIN")
    if not path:
        raise RuntimeError("set DUNLIN_BIN to the dunlin binary")
    return path


class Server:
    """A `dunlin serve` process; started again, it keeps its ports."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.http = self.grpc = "127.0.0.1:0"
        self.start()

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    def start(self) -> None:
        command = [binary(), "serve", "--http", self.http, "--grpc", self.grpc, *self._arguments]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = [self._process.stderr.readline() for _ in range(2)]
        found = re.search(r"http://([\d.:]+)/\s.*?([\d.]+:\d+)\s", "".join(said), re.DOTALL)
        if found is None:
            self.kill()
            raise RuntimeError(f"the server does not say where it listens: {said}")
        self.http, self.grpc = found[1], found[2]
        threading.Thread(target=self._drain, args=[self._process.stderr], daemon=True).start()

    @staticmethod
    def _drain(pipe: IO[str]) -> None:
        """Reads what else the server says, which must not fill the pipe."""
        with pipe:
            pipe.read()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def is_running(self) -> bool:
        return self._process.poll() is None


def until(condition: Callable[[], T], seconds: float = 10.0) -> T:
    """The first result of a condition that is true; asks it again and again."""
    end = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        assert time.monotonic() < end, f"still {result!r} after {seconds} seconds"
        time.sleep(0.02)


def on_disk(folder: Path, *arguments: str) -> Server:
    """A server that keeps what it takes."""
    return Server("--data", str(folder), *arguments)
