"""The examples of the README run as they are, but for the address."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Server

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example: str) -> None:
    server = Server()
    code = example.replace("http://127.0.0.1:7878", server.url)
    code = code.replace("Dunlin()", f"Dunlin({server.url!r})")
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
        )
    finally:
        server.kill()
    assert done.returncode == 0, done.stderr
    assert done.stdout
