"""The ASGI application: HTTP, the browsers' sockets, the media socket of ACS, and the lifespan.

The setting ROLE selects what a process serves (acsmedia/roles.py): a process of ROLE=web has no
recorder, and one of ROLE=ingest no pages.

Daphne does not support lifespan, so the recorder starts when a server imports this module. It stops
when the process exits, unless lifespan has stopped it before.
"""

from __future__ import annotations

import atexit
import os
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acsmedia.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before anything that needs the app registry

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

from acsmedia.monitoring import metrics, trials
from acsmedia.refusals import Refusals
from acsmedia.roles import MediaElsewhere, ProbesOnly
from acsmedia.servers.daphne_abort import abort_broken_responses
from acsmedia.servers.daphne_backpressure import limit_intake
from acsmedia.servers.daphne_responses import limit_output
from acsmedia.servers.daphne_stop import wait_for_requests
from acsmedia.servers.proxies import with_plain_proto, with_prefix
from acsmedia.servers.request_limits import BodyLimit, limit_daphne_bodies, limit_daphne_time
from acsmedia.warmup import warm_up
from acsmedia.wrong_addresses import UnknownSocket, UpgradeRequired
from calls.routing import listen_socket, live_socket
from streams.acs.auth import HandshakeAuth
from streams.acs.consumer import MediaConsumer
from streams.acs.webhooks.authentication import callback_auth, grid_auth
from streams.acs.webhooks.views import callback_webhook, grid_webhook
from streams.call_lookup import CallLookup, find_calls
from streams.checks import require_valid_settings
from streams.ingest.disk_quota import DiskQuota
from streams.live.alarm_monitor import thresholds_from_settings
from streams.recorder import Recorder
from streams.sealing.process import SealerProcess
from streams.sealing.sealer import Sealer

abort_broken_responses()
limit_intake()
limit_output()
wait_for_requests()
limit_daphne_bodies()
limit_daphne_time()


class Application:
    """Routes by protocol and path. Starts its recorder with the server or the first connection.

    Without a recorder and its `auth`, it refuses media sockets. Without `pages`, it answers probes
    and media sockets only.
    """

    def __init__(
        self, recorder: Recorder | None, auth: HandshakeAuth | None, *, pages: bool = True
    ) -> None:
        self._recorder = recorder
        self._auth = auth
        # Typed Any because `path` is typed for views; URLRouter takes ASGI applications.
        refusals = Refusals(recorder)
        media: Any = MediaElsewhere(refusals)
        if recorder:
            media = MediaConsumer.as_asgi(recorder=recorder, auth=auth)
        unknown: Any = UnknownSocket(refusals)
        browsers = [
            path("ws/live", live_socket),
            path("ws/listen/<uuid:call_id>", listen_socket),
        ]
        sockets = URLRouter(
            [
                path("ws/acs/media", media),
                *(browsers if pages else ()),
                path("", unknown),
                path("<path:rest>", unknown),
            ]
        )
        requests: Any = UpgradeRequired(http if pages else ProbesOnly(http), refusals)
        self._router = ProtocolTypeRouter({"http": BodyLimit(requests), "websocket": sockets})

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        if self._recorder:
            self._recorder.start()
        scope = with_prefix(with_plain_proto(scope), settings.FORCE_SCRIPT_NAME or "")
        await self._router(scope, receive, send)

    async def _run_lifespan(self, receive: Any, send: Any) -> None:
        """Starts and stops the recorder at the server's startup and shutdown events."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    if self._recorder:
                        self._recorder.start()
                except OSError as error:  # reported, or the server would run without a recorder
                    reason = f"cannot record: {error.strerror}"
                    await send({"type": "lifespan.startup.failed", "message": reason})
                    return
                if self._auth:
                    await self._auth.warm()
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._recorder:
                    await self._recorder.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def build() -> Application:
    """Builds the application from the settings.

    Raises:
        ImproperlyConfigured: a setting is wrong; the message names its variable.
    """
    require_valid_settings()
    records = settings.ROLE != "web"
    recorder = build_recorder() if records else None
    if settings.RECORDER_STARTS_AT_IMPORT:
        warm_up()
        if recorder:
            recorder.start()
    auth = HandshakeAuth.from_settings() if records else None
    if auth:
        trials.keys.install(auth.check_keys)
    callback_webhook.install(callback_auth(auth.keys if auth else None))
    grid_webhook.install(grid_auth())
    return Application(recorder, auth, pages=settings.ROLE != "ingest")


def build_recorder() -> Recorder:
    """Builds the recorder from the settings; its numbers are in the metrics of the process."""
    recorder = Recorder(
        settings.SPOOL_DIR,
        segment_seconds=settings.SEGMENT_SECONDS,
        fsync_seconds=settings.JOURNAL_FSYNC_SECONDS,
        grace_seconds=settings.RECONNECT_GRACE_SECONDS,
        disk_quota=DiskQuota.from_settings(),
        alarms=thresholds_from_settings(),
        sealer=SealerProcess if settings.SEALER_IS_A_PROCESS else Sealer,
        lookup=CallLookup(partial(find_calls, settings.SPOOL_DIR)),
    )
    metrics.install(recorder.stats)
    atexit.register(recorder.stop)
    return recorder


application = build()
