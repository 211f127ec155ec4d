"""Settings of the installation, by the names of their variables; secrets are never shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings


@dataclass(frozen=True)
class Setting:
    """`name` of the environment variable (README, "Environment")."""

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
        Group("ACS and metrics", _machine_access()),
        Group("Users and REST", _user_access()),
        Group("Storage and services", _services()),
    ]


def _recording() -> list[Setting]:
    limit = settings.SPOOL_LIMIT_GB
    return [
        Setting("SEGMENT_SECONDS", _seconds(settings.SEGMENT_SECONDS), "longest segment"),
        Setting(
            "RECONNECT_GRACE_SECONDS",
            _seconds(settings.RECONNECT_GRACE_SECONDS),
            "time without a socket after which a call has ended",
        ),
        Setting(
            "JOURNAL_FSYNC_SECONDS",
            _seconds(settings.JOURNAL_FSYNC_SECONDS),
            "most audio lost in a power failure",
        ),
        Setting(
            "MIN_FREE_DISK_MB",
            f"{settings.MIN_FREE_DISK_MB} MB",
            "free space below which /readyz fails",
        ),
        Setting(
            "SPOOL_LIMIT_GB",
            f"{limit:g} GB" if limit else "none",
            "most space for journals",
        ),
    ]


def _alarms() -> list[Setting]:
    return [
        Setting(
            "ALARM_NO_AUDIO_SECONDS",
            _seconds(settings.ALARM_NO_AUDIO_SECONDS),
            "connected without audio",
        ),
        Setting("ALARM_DEAD_AIR_SECONDS", _seconds(settings.ALARM_DEAD_AIR_SECONDS), "dead air"),
        Setting("ALARM_ONE_WAY_SECONDS", _seconds(settings.ALARM_ONE_WAY_SECONDS), "one-way audio"),
        Setting("ALARM_SILENCE_DBFS", f"{settings.ALARM_SILENCE_DBFS:g} dBFS", "silence threshold"),
        Setting("ALARM_LOW_DBFS", f"{settings.ALARM_LOW_DBFS:g} dBFS", "low-speech threshold"),
    ]


def _machine_access() -> list[Setting]:
    return [
        Setting("ACS_AUTH", settings.ACS_AUTH, "authentication of ACS"),
        Setting("ACS_RESOURCE_ID", settings.ACS_RESOURCE_ID or "none", "audience of its tokens"),
        Setting("ACS_JWKS_URL", settings.ACS_JWKS_URL, "address of its keys"),
        Setting(
            "ACS_STREAM_TOKEN",
            _is_set(settings.ACS_STREAM_TOKEN),
            "secret in the address of the media socket",
        ),
        Setting(
            "METRICS_TOKEN",
            _is_set(settings.METRICS_TOKEN),
            "token for /metrics; without one only this host can read it",
        ),
    ]


def _user_access() -> list[Setting]:
    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    lockout_minutes = settings.AXES_COOLOFF_TIME.total_seconds() / 60
    return [
        Setting(
            "LOGIN_FAILURES",
            str(settings.AXES_FAILURE_LIMIT),
            "failed logins per user and address before a lock-out",
        ),
        Setting("LOGIN_LOCKED_MINUTES", f"{lockout_minutes:g} min", "length of a lock-out"),
        Setting("REST_RATE_USER", rates["user"], "REST requests per user"),
        Setting("REST_RATE_ANONYMOUS", rates["anon"], "REST requests per address without a login"),
        Setting(
            "ALLOWED_HOSTS",
            ", ".join(settings.ALLOWED_HOSTS) or "none",
            "accepted host names",
        ),
        Setting("DEBUG", _yes_or_no(settings.DEBUG), "never in production"),
        Setting(
            "INSECURE_HTTP", _yes_or_no(settings.INSECURE_HTTP), "only for a trial on this host"
        ),
    ]


def _services() -> list[Setting]:
    """Addresses are shown without passwords."""
    store = settings.STORAGES["audio"].get("OPTIONS", {})
    bucket = store.get("bucket_name") or store.get("azure_container") or store.get("location") or ""
    layer = settings.CHANNEL_LAYERS["default"]["BACKEND"].rpartition(".")[2]
    return [
        Setting("DATABASE_URL", _database(settings.DATABASES["default"]), "database"),
        Setting(
            "AUDIO_STORE",
            " ".join(filter(None, (settings.AUDIO_STORE, bucket))),
            "store of the sealed segments",
        ),
        Setting(
            "REDIS_URL",
            "set" if "Redis" in layer else "none: one process only",
            "live updates between processes",
        ),
        Setting("DATA_DIR", str(settings.DATA_DIR), "folder of the journals"),
        Setting("LOG_LEVEL", settings.LOG_LEVEL, "lowest level that is logged"),
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
