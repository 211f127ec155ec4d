"""System checks: report wrong settings at start-up, by variable name, not in the middle of a call.

| id | problem |
| --- | --- |
| acsmedia.E001 | `ACS_AUTH=off` without `DEBUG`: anyone could connect |
| acsmedia.E002 | `ACS_AUTH=jwt` without `ACS_RESOURCE_ID`: any resource's tokens would be valid |
| acsmedia.E003 | `ACS_AUTH=token` without `ACS_STREAM_TOKEN` |
| acsmedia.E004 | `ACS_STREAM_TOKEN` is too short, and the only protection |
| acsmedia.E005 | `ACS_JWKS_URL` is not an https URL (http is allowed with `DEBUG`) |
| acsmedia.E006 | `DATA_DIR` is not writable |
| acsmedia.E007 | `AUDIO_STORE=s3` without `S3_BUCKET` |
| acsmedia.E008 | `AUDIO_STORE=azure` without container name or connection string |
| acsmedia.E009 | `REDIS_URL` has a scheme that the channel layer does not support |
| acsmedia.E010 | `ACS_STREAM_TOKEN_PREVIOUS` without `ACS_STREAM_TOKEN` |
| acsmedia.E011 | `ACS_EVENTS_TENANT` without `ACS_EVENTS_AUDIENCE`, or the other way round |
| acsmedia.E012 | `ACS_EVENTS_TENANT` is not a GUID: tokens name their issuer by it |
| acsmedia.E013 | `ACS_EVENTS_TOKEN` is too short |
| acsmedia.E014 | `ACS_ANSWER` without `ACS_CONNECTION_STRING` |
| acsmedia.E015 | `ACS_CONNECTION_STRING` is not one |
| acsmedia.E016 | calls are to be answered, and `PUBLIC_URL` is no https address |
| acsmedia.E017 | calls are to be answered, and the SDK of Call Automation is not installed |
| acsmedia.E018 | addresses for mails without `EMAIL_URL` or `MAIL_FROM` |
| acsmedia.W001 | `ACS_STREAM_TOKEN` is short; with `ACS_AUTH=jwt` it is a second protection |
| acsmedia.W002 | Postgres with the in-memory channel layer: no process sees another's calls |
| acsmedia.W003 | SQLite with Redis: SQLite allows one writer, so several processes will wait |
| acsmedia.W004 | `METRICS_TOKEN` is short |
| acsmedia.W005 | `INSECURE_HTTP` without `DEBUG`: passwords and audio are not encrypted |
| acsmedia.W006 | `ROLE` is ingest or web without `REDIS_URL`: no page shows a live call |
| acsmedia.W007 | `ACS_CONNECTION_STRING` without `ACS_ANSWER`: no call is answered |
| acsmedia.W008 | calls are to be answered, and the address of Event Grid is closed |

A process of `ROLE=ingest` takes no events, so their settings are not checked there. One of
`ROLE=web` records nothing, so the settings of the media socket and the spool are not
checked there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Advice
from django.core.exceptions import ImproperlyConfigured

TAG = "acsmedia"
MIN_SECRET_LENGTH = 16
"""Characters. Shorter secrets can be guessed by trying."""


def require_valid_settings() -> None:
    """Raises ImproperlyConfigured with every error found; for servers, which start without system
    checks.
    """
    found = [message for check in _CHECKS for message in check() if message.is_serious()]
    if found:
        raise ImproperlyConfigured(" ".join(f"{message.msg} ({message.id})" for message in found))


def check_auth(**_: Any) -> list[CheckMessage]:
    """Checks the authentication of the media socket."""
    if settings.ROLE == "web":
        return []
    mode, token = settings.ACS_AUTH, settings.ACS_STREAM_TOKEN
    found: list[CheckMessage] = []
    if mode == "off" and not settings.DEBUG:
        text = "ACS_AUTH=off lets anyone connect; it is allowed only with DEBUG."
        hint = "Use ACS_AUTH=jwt, or ACS_AUTH=token with ACS_STREAM_TOKEN."
        found.append(Error(text, hint=hint, id="acsmedia.E001"))
    if mode == "jwt" and not settings.ACS_RESOURCE_ID:
        hint = "It is the immutable resource id of the Communication Services resource."
        found.append(Error("ACS_AUTH=jwt needs ACS_RESOURCE_ID.", hint=hint, id="acsmedia.E002"))
    if mode == "token" and not token:
        found.append(Error("ACS_AUTH=token needs ACS_STREAM_TOKEN.", id="acsmedia.E003"))
    if mode != "off" and 0 < len(token) < MIN_SECRET_LENGTH:
        text = f"ACS_STREAM_TOKEN has fewer than {MIN_SECRET_LENGTH} characters."
        if mode == "token":  # the only protection
            found.append(Error(text, id="acsmedia.E004"))
        else:
            found.append(Advice(text, id="acsmedia.W001"))
    found += _check_previous_token()
    address = _split(settings.ACS_JWKS_URL)
    schemes = {"https", "http"} if settings.DEBUG else {"https"}
    if address is None or address[0] not in schemes or not address[1]:
        text = "ACS_JWKS_URL must be an https:// address."
        hint = "Over plain HTTP, anyone who can alter the response can forge tokens."
        found.append(Error(text, hint=hint, id="acsmedia.E005"))
    return found


def _check_previous_token() -> list[CheckMessage]:
    previous = settings.ACS_STREAM_TOKEN_PREVIOUS
    if previous and not settings.ACS_STREAM_TOKEN:
        text = "ACS_STREAM_TOKEN_PREVIOUS needs ACS_STREAM_TOKEN, the new token."
        return [Error(text, id="acsmedia.E010")]
    if 0 < len(previous) < MIN_SECRET_LENGTH:
        text = f"ACS_STREAM_TOKEN_PREVIOUS has fewer than {MIN_SECRET_LENGTH} characters."
        return [Advice(text, id="acsmedia.W001")]
    return []


def check_events(**_: Any) -> list[CheckMessage]:
    """Checks the authentication of Event Grid at the webhook."""
    if settings.ROLE == "ingest":
        return []
    found: list[CheckMessage] = []
    tenant, audience = settings.ACS_EVENTS_TENANT, settings.ACS_EVENTS_AUDIENCE
    if bool(tenant) != bool(audience):
        missing, given = "ACS_EVENTS_TENANT", "ACS_EVENTS_AUDIENCE"
        if tenant:
            missing, given = given, missing
        text = f"{given} is set without {missing}: tokens of Entra ID cannot be checked."
        found.append(Error(text, hint="Set both, or none.", id="acsmedia.E011"))
    if tenant and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", tenant):
        hint = "It is the directory (tenant) id, a GUID. Domain names are not accepted."
        found.append(Error("ACS_EVENTS_TENANT is not a GUID.", hint=hint, id="acsmedia.E012"))
    if 0 < len(settings.ACS_EVENTS_TOKEN) < MIN_SECRET_LENGTH:
        text = f"ACS_EVENTS_TOKEN has fewer than {MIN_SECRET_LENGTH} characters."
        found.append(Error(text, hint="Anyone could guess it.", id="acsmedia.E013"))
    return found


def check_answering(**_: Any) -> list[CheckMessage]:
    """Checks the settings with which acsmedia answers calls itself."""
    text, rules = settings.ACS_CONNECTION_STRING, settings.ACS_ANSWER
    if settings.ROLE == "ingest" or not (text or rules):
        return []
    if not text:
        return [Error("ACS_ANSWER needs ACS_CONNECTION_STRING.", id="acsmedia.E014")]
    found: list[CheckMessage] = []
    parts = {part.partition("=")[0].lower() for part in text.split(";") if "=" in part}
    if not {"endpoint", "accesskey"} <= parts:
        hint = "It is endpoint=https://…;accesskey=…, in the portal under Keys."
        wrong = "ACS_CONNECTION_STRING is not a connection string."
        found.append(Error(wrong, hint=hint, id="acsmedia.E015"))
    if not rules:
        hint = "Set ACS_ANSWER, or remove ACS_CONNECTION_STRING."
        text = "Without ACS_ANSWER no call is answered."
        found.append(Advice(text, hint=hint, id="acsmedia.W007"))
        return found
    if not settings.PUBLIC_URL.startswith("https://") and not settings.DEBUG:
        wrong = "Answering calls needs PUBLIC_URL, an https address: ACS connects to it."
        found.append(Error(wrong, id="acsmedia.E016"))
    if not _has_sdk():
        hint = "pip install --requirement requirements-answer.txt"
        wrong = "Answering calls needs the package azure-communication-callautomation."
        found.append(Error(wrong, hint=hint, id="acsmedia.E017"))
    if not (settings.ACS_EVENTS_TOKEN or settings.ACS_EVENTS_TENANT):
        wrong = "No IncomingCall can come in: Event Grid's address is closed."
        hint = "Set ACS_EVENTS_TOKEN, or ACS_EVENTS_TENANT and ACS_EVENTS_AUDIENCE."
        found.append(Advice(wrong, hint=hint, id="acsmedia.W008"))
    return found


def _has_sdk() -> bool:
    try:
        return find_spec("azure.communication.callautomation") is not None
    except ModuleNotFoundError:  # of a parent package
        return False


def check_data_dir(**_: Any) -> list[CheckMessage]:
    """Checks whether DATA_DIR, or the nearest existing folder above it, is writable."""
    if settings.ROLE == "web":
        return []
    folder = Path(settings.DATA_DIR)
    why = _why_unwritable(folder) or _why_unwritable(Path(settings.SPOOL_DIR))
    if not why:
        return []
    hint = "Give this process's user write permission, or set DATA_DIR to another folder."
    return [Error(f"DATA_DIR={folder} cannot be written: {why}.", hint=hint, id="acsmedia.E006")]


def check_audio_store(**_: Any) -> list[CheckMessage]:
    """Checks that stores have the options without which they cannot write."""
    options = settings.STORAGES["audio"].get("OPTIONS", {})
    if settings.AUDIO_STORE == "s3" and not options.get("bucket_name"):
        return [Error("AUDIO_STORE=s3 needs S3_BUCKET.", id="acsmedia.E007")]
    if settings.AUDIO_STORE == "azure":
        required = {
            "AZURE_CONTAINER": "azure_container",
            "AZURE_STORAGE_CONNECTION_STRING": "connection_string",
        }
        missing = [variable for variable, option in required.items() if not options.get(option)]
        return [
            Error(f"AUDIO_STORE=azure needs {variable}.", id="acsmedia.E008")
            for variable in missing
        ]
    return []


def check_processes(**_: Any) -> list[CheckMessage]:
    """Checks that several processes can share both database and channel layer, or neither."""
    scheme, host = _split(settings.REDIS_URL) or ("", "")
    is_redis = scheme == "unix" or (scheme in {"redis", "rediss"} and host != "")
    if settings.REDIS_URL and not is_redis:
        text = "REDIS_URL must be redis://host, rediss://host or unix:///path."
        return [Error(text, id="acsmedia.E009")]
    if settings.DEBUG:
        return []
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if settings.REDIS_URL:
        text, hint = (
            "REDIS_URL is set, but DATABASE_URL is SQLite.",
            "Set DATABASE_URL=postgres://…",
        )
        return [Advice(text, hint=hint, id="acsmedia.W003")] if sqlite else []
    if settings.ROLE != "all":
        text = f"ROLE={settings.ROLE} without REDIS_URL: no page shows a live call."
        hint = "Set REDIS_URL in every process, or ROLE=all in the only one."
        return [Advice(text, hint=hint, id="acsmedia.W006")]
    text = "Without REDIS_URL each process shows only its own calls."
    hint = "Set REDIS_URL, unless this is the only process."
    return [] if sqlite else [Advice(text, hint=hint, id="acsmedia.W002")]


def check_metrics(**_: Any) -> list[CheckMessage]:
    if 0 < len(settings.METRICS_TOKEN) < MIN_SECRET_LENGTH:
        return [
            Advice(
                f"METRICS_TOKEN has fewer than {MIN_SECRET_LENGTH} characters.", id="acsmedia.W004"
            )
        ]
    return []


def check_transport(**_: Any) -> list[CheckMessage]:
    if not settings.INSECURE_HTTP or settings.DEBUG:
        return []
    hint = "It is meant for trying out on this host; unset it behind TLS."
    return [
        Advice(
            "INSECURE_HTTP sends passwords and audio in plain text.", hint=hint, id="acsmedia.W005"
        )
    ]


def check_mail(**_: Any) -> list[CheckMessage]:
    """Checks that mails can be sent, if there are addresses."""
    names = "ALARM_MAIL_CRITICAL", "ALARM_MAIL_MAJOR", "ALARM_MAIL_MINOR", "DIGEST_MAIL"
    used = [name for name in names if getattr(settings, name)]
    missing = [name for name in ("EMAIL_URL", "MAIL_FROM") if not getattr(settings, name)]
    if not used or not missing:
        return []
    text = f"{', '.join(used)} without {' and '.join(missing)}: no mail can be sent."
    hint = "EMAIL_URL=submission://user:password@mail.example.com, MAIL_FROM=acsmedia@example.com"
    return [Error(text, hint=hint, id="acsmedia.E018")]


_CHECKS: tuple[Callable[..., list[CheckMessage]], ...] = (
    check_auth,
    check_events,
    check_answering,
    check_data_dir,
    check_audio_store,
    check_processes,
    check_metrics,
    check_transport,
    check_mail,
)
for _check in _CHECKS:
    register(_check, TAG)


def _split(url: str) -> tuple[str, str] | None:
    """Returns scheme and host; None if it is not a URL."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an unclosed bracket, for example
        return None
    return parts.scheme, parts.hostname or ""


def _why_unwritable(folder: Path) -> str:
    """Returns the reason why files cannot be created in `folder`, "" if they can.

    A folder that does not exist is not created: only the permissions of its parent are checked.
    """
    try:
        if folder.is_dir():
            # permissions alone do not show root a read-only mount
            with tempfile.TemporaryFile(dir=folder):
                return ""
        if folder.exists():
            return f"{folder} is not a folder"
        parent = next(parent for parent in folder.parents if parent.exists())
    except OSError as error:
        return error.strerror or type(error).__name__
    if not parent.is_dir():
        return f"{parent} is not a folder"
    return "" if os.access(parent, os.W_OK | os.X_OK) else f"{parent} is not writable"
