"""Bodies, headers and secrets of webhooks, as Standard Webhooks 1.0.0 says."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from calls.models import OutgoingEvent, WebhookEndpoint

SECRET_BYTES = 32
USER_AGENT = "acsmedia-webhooks/1"


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def body_of(event: OutgoingEvent) -> bytes:
    """Returns the same bytes at every attempt."""
    content: dict[str, Any] = {
        "type": event.type,
        "timestamp": event.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": event.data,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(
    endpoint: WebhookEndpoint, event_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """Returns the headers of an attempt at `now`, signed with the secret and the previous one."""
    at = now.astimezone(UTC)
    secrets_now = filter(None, (endpoint.secret, endpoint.previous_secret))
    signatures = [Webhook(secret).sign(event_id, at, body.decode()) for secret in secrets_now]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
