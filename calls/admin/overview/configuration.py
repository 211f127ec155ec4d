"""How the installation is set, for whoever looks after it: names as in the environment, secrets
only as set or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings


@dataclass(frozen=True)
class Setting:
    """`name` as in the environment (README, "Environment")."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Group:
    name: str
    settings: list[Setting]


def groups() -> list[Group]:
    return [
        Group("Recording", _recording()),
        Group("Alarms", _alarms()),
        Group("Who gets in", _doors()),
        Group("Where things are", _places()),
    ]


def _recording() -> list[Setting]:
    limit = settings.SPOOL_LIMIT_GB
    return [
        Setting("SEGMENT_SECONDS", _seconds(settings.SEGMENT_SECONDS), "longest segment"),
        Setting(
            "RECONNECT_GRACE_SECONDS",
            _seconds(settings.RECONNECT_GRACE_SECONDS),
            "until a closed call has ended",
        ),
        Setting(
            "JOURNAL_FSYNC_SECONDS",
            _seconds(settings.JOURNAL_FSYNC_SECONDS),
            "the most that a power cut takes",
        ),
        Setting("MIN_FREE_DISK_MB", f"{settings.MIN_FREE_DISK_MB} MB", "/readyz says no below it"),
        Setting(
            "SPOOL_LIMIT_GB",
            f"{limit:g} GB" if limit else "what the disk has",
            "most that journals may take",
        ),
    ]


def _alarms() -> list[Setting]:
    return [
        Setting(
            "ALARM_NO_AUDIO_SECONDS",
            _seconds(settings.ALARM_NO_AUDIO_SECONDS),
            "a socket without a packet",
        ),
        Setting(
            "ALARM_DEAD_AIR_SECONDS",
            _seconds(settings.ALARM_DEAD_AIR_SECONDS),
            "a call without a sound",
        ),
        Setting(
            "ALARM_ONE_WAY_SECONDS",
            _seconds(settings.ALARM_ONE_WAY_SECONDS),
            "a side that was never heard",
        ),
        Setting(
            "ALARM_SILENCE_DBFS",
            f"{settings.ALARM_SILENCE_DBFS:g} dBFS",
            "at or below it nobody is heard",
        ),
        Setting(
            "ALARM_LOW_DBFS", f"{settings.ALARM_LOW_DBFS:g} dBFS", "below it speech is too low"
        ),
    ]


def _doors() -> list[Setting]:
    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    return [
        Setting("ACS_AUTH", settings.ACS_AUTH, "how ACS proves who it is"),
        Setting("ACS_RESOURCE_ID", settings.ACS_RESOURCE_ID or "none", "audience of its tokens"),
        Setting("ACS_JWKS_URL", settings.ACS_JWKS_URL, "where its keys are"),
        Setting(
            "ACS_STREAM_TOKEN",
            _is_set(settings.ACS_STREAM_TOKEN),
            "secret in the address of the media socket",
        ),
        Setting(
            "METRICS_TOKEN",
            _is_set(settings.METRICS_TOKEN),
            "without one only this host sees /metrics",
        ),
        Setting(
            "LOGIN_FAILURES",
            str(settings.AXES_FAILURE_LIMIT),
            "wrong passwords, until one has to wait",
        ),
        Setting(
            "LOGIN_LOCKED_MINUTES",
            f"{settings.AXES_COOLOFF_TIME.total_seconds() / 60:g} min",
            "that long",
        ),
        Setting("REST_RATE_USER", rates["user"], "requests of one user"),
        Setting("REST_RATE_ANONYMOUS", rates["anon"], "requests of one address without login"),
        Setting(
            "ALLOWED_HOSTS",
            ", ".join(settings.ALLOWED_HOSTS) or "none",
            "names that this server answers to",
        ),
        Setting("DEBUG", _yes_or_no(settings.DEBUG), "never in production"),
        Setting(
            "INSECURE_HTTP",
            _yes_or_no(settings.INSECURE_HTTP),
            "only for a first look on this host",
        ),
    ]


def _places() -> list[Setting]:
    """Addresses without their passwords."""
    store = settings.STORAGES["audio"].get("OPTIONS", {})
    bucket = store.get("bucket_name") or store.get("azure_container") or store.get("location") or ""
    layer = settings.CHANNEL_LAYERS["default"]["BACKEND"].rpartition(".")[2]
    return [
        Setting("DATABASE_URL", _database(settings.DATABASES["default"]), "rows"),
        Setting(
            "AUDIO_STORE", " ".join(filter(None, (settings.AUDIO_STORE, bucket))), "sealed segments"
        ),
        Setting(
            "REDIS_URL",
            "set" if "Redis" in layer else "none: one process only",
            "live news between processes",
        ),
        Setting("DATA_DIR", str(settings.DATA_DIR), "journals, of a process that records"),
        Setting("LOG_LEVEL", settings.LOG_LEVEL, "what is logged"),
    ]


def _database(database: dict[str, Any]) -> str:
    if database["ENGINE"].endswith("sqlite3"):
        return f"SQLite {database['NAME']}"
    host = database.get("HOST") or "local socket"
    port = f":{database['PORT']}" if database.get("PORT") else ""
    return f"PostgreSQL {database['NAME']} on {host}{port}"


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _is_set(secret: str) -> str:
    return "set" if secret else "not set"


def _yes_or_no(value: bool) -> str:  # noqa: FBT001 - a value, not a switch
    return "yes" if value else "no"
