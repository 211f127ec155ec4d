"""The application as servers see it: HTTP, the browser's socket, ACS's socket, and the server's own
start and end.

Daphne has no lifespan, so the recorder starts when a server imports this module, and stops at the
end of the process where the server has not said so before.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acsmedia.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before anything that needs the app registry

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

from acsmedia.monitoring import metrics
from acsmedia.servers.daphne_abort import cut_broken_answers
from acsmedia.servers.daphne_backpressure import limit_intake
from acsmedia.warmup import warm_up
from calls.routing import listen_socket, live_socket
from streams.acs.auth import HandshakeAuth
from streams.acs.consumer import MediaConsumer, refuse
from streams.checks import require_valid_settings
from streams.ingest.disk_quota import DiskQuota
from streams.live.alarm_monitor import thresholds_from_settings
from streams.recorder import Recorder
from streams.sealing.process import SealerProcess
from streams.sealing.sealer import Sealer

cut_broken_answers()
limit_intake()


class Application:
    """Routes by protocol and path. Its recorder starts with the server, or with the first
    connection.
    """

    def __init__(self, recorder: Recorder, auth: HandshakeAuth) -> None:
        self._recorder = recorder
        self._auth = auth
        # Typed Any because `path` is typed for views; URLRouter takes ASGI applications.
        media: Any = MediaConsumer.as_asgi(recorder=recorder, auth=auth)
        known = [path("ws/acs/media", media), path("ws/live", live_socket)]
        known.append(path("ws/listen/<uuid:call_id>", listen_socket))
        sockets = URLRouter([*known, path("", nowhere), path("<path:rest>", nowhere)])
        self._router = ProtocolTypeRouter({"http": http, "websocket": sockets})

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self._recorder.start()
        await self._router(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        """ASGI lifespan: what a server tells of its start and end."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self._recorder.start()
                except OSError as error:  # said, or the server would serve on without a recorder
                    await send(
                        {
                            "type": "lifespan.startup.failed",
                            "message": f"cannot record: {error.strerror}",
                        }
                    )
                    return
                await self._auth.warm()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._recorder.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


NOWHERE = 4404, 404
"""Close code and HTTP status for an address that is none of ours."""


async def _nowhere(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Any other socket address: refused before accept, without a traceback in the log."""
    await receive()
    await refuse(scope, send, *NOWHERE)


nowhere: Any = _nowhere


def build() -> Application:
    """The application that the settings describe. Raises `ImproperlyConfigured` where they are
    wrong.
    """
    require_valid_settings()
    recorder = Recorder(
        settings.SPOOL_DIR,
        segment_seconds=settings.SEGMENT_SECONDS,
        fsync_seconds=settings.JOURNAL_FSYNC_SECONDS,
        grace_seconds=settings.RECONNECT_GRACE_SECONDS,
        disk_quota=DiskQuota.from_settings(),
        alarms=thresholds_from_settings(),
        sealer=SealerProcess if settings.SEALER_IS_A_PROCESS else Sealer,
    )
    metrics.install(recorder.stats)
    atexit.register(recorder.stop)
    if settings.RECORDER_STARTS_AT_IMPORT:
        warm_up()
        recorder.start()
    return Application(recorder, HandshakeAuth.from_settings())


application = build()
