"""The two consumers, written like the tutorials."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import numpy as np
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from bench.tutorial.models import Chunk

BATCH = 50
GROUP = "dashboard"


class MediaConsumer(AsyncWebsocketConsumer):  # type: ignore[misc] # channels is untyped
    """Stores packets in batches, and sends the level of each to the dashboards."""

    async def connect(self) -> None:
        headers = dict(self.scope["headers"])
        self.call_id = headers.get(b"x-ms-call-connection-id", b"").decode()
        self.chunks: list[Chunk] = []
        await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = json.loads(text_data or bytes_data or "{}")
        if message.get("kind") != "AudioData":
            return
        audio = message["audioData"]
        pcm = base64.b64decode(audio["data"])
        participant = audio["participantRawID"]
        self.chunks.append(
            Chunk(
                call_id=self.call_id,
                participant=participant,
                timestamp=datetime.fromisoformat(audio["timestamp"]),
                received_at=timezone.now(),
                pcm=pcm,
            )
        )
        if len(self.chunks) >= BATCH:
            await self.save_chunks()
        level = {"type": "level", "participant": participant, "level": level_of(pcm)}
        await self.channel_layer.group_send(GROUP, level)

    async def disconnect(self, code: int) -> None:
        del code
        await self.save_chunks()

    async def save_chunks(self) -> None:
        chunks, self.chunks = self.chunks, []
        await database_sync_to_async(Chunk.objects.bulk_create)(chunks)


class DashboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Forwards every level to its browser."""

    async def connect(self) -> None:
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        del code
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def level(self, event: dict[str, Any]) -> None:
        levels = {event["participant"]: event["level"]}
        await self.send(text_data=json.dumps({"type": "levels", "levels": levels}))


def level_of(pcm: bytes) -> list[float]:
    """Returns rms and peak in dBFS."""
    samples = np.frombuffer(pcm, dtype=np.int16).astype(np.float64) / 32768
    rms, peak = np.sqrt(np.mean(samples**2)), np.max(np.abs(samples))
    return [round(float(20 * np.log10(max(value, 1e-5))), 1) for value in (rms, peak)]
