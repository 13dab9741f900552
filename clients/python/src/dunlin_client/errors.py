"""What goes wrong, one class for each thing that a caller can do about it.

::

    DunlinError
    ├── Unreachable          nobody answers, or the connection broke: try again later
    └── Problem              the server answered with a reason (problem+json)
        ├── BadRequest       400, 413, 415: mend the request; `field` says where
        ├── Denied           401, 403: another token, or one with the scope that this takes
        ├── NotFound         404: there is no such query or object
        ├── Conflict         409: the id of a query is taken
        └── Busy             408, 429, 503: a limit is reached, or the server stops
"""

from __future__ import annotations

import json

import httpx

from .answers import Taken


class DunlinError(Exception):
    """Anything that this package raises about a server."""

    taken: Taken | None = None
    """Of rows that were sent in several batches: what became of the batches before."""


class Unreachable(DunlinError):
    """Nobody answers, or the connection broke before the answer was there."""


class Problem(DunlinError):
    """The server refused, and says why."""

    def __init__(self, status: int, reason: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.status = status
        """The HTTP status."""
        self.reason = reason
        """The server's words."""
        self.field = field
        """The field of the request that is wrong, where one is."""


class BadRequest(Problem):
    """The request is wrong; sent again, it would be as wrong."""


class Denied(Problem):
    """The server asks for a token, does not know this one, or its scope does not do."""


class NotFound(Problem):
    """There is no such query or object."""


class Conflict(Problem):
    """A query with this id stands already."""


class Busy(Problem):
    """A limit of the server is reached, or it is about to stop."""


_BY_STATUS: dict[int, type[Problem]] = {
    400: BadRequest,
    401: Denied,
    403: Denied,
    404: NotFound,
    408: Busy,
    409: Conflict,
    413: BadRequest,
    415: BadRequest,
    429: Busy,
    503: Busy,
}


def problem_of(response: httpx.Response) -> Problem:
    """The exception that a refusal stands for; its body has been read."""
    try:
        said = json.loads(response.content)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        said = {}
    kind = _BY_STATUS.get(response.status_code, Problem)
    reason = said.get("detail") or f"the server answered {response.status_code}"
    return kind(response.status_code, reason, said.get("field"))
