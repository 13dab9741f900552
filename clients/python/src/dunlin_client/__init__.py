"""Client of Dunlin, the stream engine for moving objects.

::

    from dunlin_client import Dunlin, knn

    with Dunlin("http://127.0.0.1:7878") as dunlin:
        dunlin.send([("taxi-7", 116.39, 39.91)])
        dunlin.create("station", knn(10, at=(116.39, 39.91)))
        for answer in dunlin.subscribe("station").answers():
            print(answer.ids)

`AsyncDunlin` does the same for asyncio.
"""

from .aio import AsyncDunlin, AsyncSubscription
from .answers import (
    Answer,
    Change,
    Delta,
    Enter,
    Event,
    Leave,
    Located,
    Move,
    Object,
    Occurrence,
    Rejected,
    Reorder,
    Report,
    ReportDelta,
    Reports,
    Taken,
    Whole,
)
from .calls import State
from .client import Dunlin, Subscription
from .errors import (
    BadRequest,
    Busy,
    Conflict,
    Denied,
    DunlinError,
    NotFound,
    Problem,
    Unreachable,
)
from .queries import (
    Cooccurrence,
    Inside,
    Knn,
    StandingQuery,
    Within,
    cooccurrence,
    inside,
    knn,
    within,
)
from .rows import Passage, Position

__all__ = [
    "Answer",
    "AsyncDunlin",
    "AsyncSubscription",
    "BadRequest",
    "Busy",
    "Change",
    "Conflict",
    "Cooccurrence",
    "Delta",
    "Denied",
    "Dunlin",
    "DunlinError",
    "Enter",
    "Event",
    "Inside",
    "Knn",
    "Leave",
    "Located",
    "Move",
    "NotFound",
    "Object",
    "Occurrence",
    "Passage",
    "Position",
    "Problem",
    "Rejected",
    "Reorder",
    "Report",
    "ReportDelta",
    "Reports",
    "StandingQuery",
    "State",
    "Subscription",
    "Taken",
    "Unreachable",
    "Whole",
    "Within",
    "cooccurrence",
    "inside",
    "knn",
    "within",
]
