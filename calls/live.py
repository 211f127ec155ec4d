"""What is happening now, on its way to the browsers: the only module that knows the channel layer.

Each recording process publishes one `News` per tick to the group `live`; every dashboard socket is in that group.
News are news: a lost one is not sent again, and the next one makes it good.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from channels.layers import get_channel_layer

GROUP = "live"
"""Everyone who may see live calls may see all of them, so one group is enough."""

SILENCE_DBFS = -96.0


class News(TypedDict):
    """What one process says in one tick.

    `calls` holds calls as in REST (`GET /api/v1/calls/<id>/`), whole, when they are new or changed, and each of the
    process's calls at least every `REPEAT_SECONDS`, so that a dashboard that missed one learns it again.
    `ended` holds calls that this process no longer holds, as they ended. `levels` maps participant ids to
    [rms dBFS, peak dBFS] of the newest window.
    """

    process: str
    levels: dict[str, list[float]]
    calls: NotRequired[list[dict[str, Any]]]
    ended: NotRequired[list[dict[str, Any]]]


REPEAT_SECONDS = 5.0


async def publish(news: News) -> None:
    """Sends `news` to every dashboard of every process. Raises what the layer raises when it is away."""
    layer = get_channel_layer()
    assert layer is not None, "settings.CHANNEL_LAYERS has a default layer"
    await layer.group_send(GROUP, {"type": "live.news", "news": news})
