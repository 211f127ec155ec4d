"""Settings of the installation, by the names of their variables; secrets are never shown."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class Setting:
    """`name` of the environment variable (README, "Environment")."""

    name: str
    value: str
    meaning: str


def groups() -> dict[str, list[Setting]]:
    """Returns the settings by the caption of their table."""
    spool_limit = f"{settings.SPOOL_LIMIT_GB:g} GB" if settings.SPOOL_LIMIT_GB else "none"
    return {
        "Recording": [
            _measure("SEGMENT_SECONDS", "s", "longest segment"),
            _measure("COVERAGE_TARGET", "%", "part of calls and seconds that should be recorded"),
            _measure("COVERAGE_DELAY_SECONDS", "s", "from the end of a call until it is judged"),
            _measure(
                "RECONNECT_GRACE_SECONDS", "s", "time without a socket after which a call has ended"
            ),
            _measure("JOURNAL_FSYNC_SECONDS", "s", "most audio lost in a power failure"),
            _measure("MIN_FREE_DISK_MB", "MB", "free space below which /readyz fails"),
            Setting("SPOOL_LIMIT_GB", spool_limit, "most space for journals"),
        ],
        "Alarms": [
            _measure("ALARM_NO_AUDIO_SECONDS", "s", "connected without audio"),
            _measure("ALARM_DEAD_AIR_SECONDS", "s", "dead air"),
            _measure("ALARM_ONE_WAY_SECONDS", "s", "one-way audio"),
            _measure("ALARM_SILENCE_DBFS", "dBFS", "silence threshold"),
            _measure("ALARM_LOW_DBFS", "dBFS", "low-speech threshold"),
        ],
        "ACS and metrics": _acs(),
        "Notifications": _notifications(),
        "Users and REST": _user_access(),
        "Storage and services": _services(),
    }


def _acs() -> list[Setting]:
    return [
        _text("ACS_AUTH", "authentication of ACS"),
        _text("ACS_RESOURCE_ID", "audience of its tokens"),
        _text("ACS_JWKS_URL", "address of its keys"),
        _secret("ACS_STREAM_TOKEN", "secret in the address of the media socket"),
        _secret("ACS_EVENTS_TOKEN", "secret in the address for Event Grid"),
        _secret("ACS_CONNECTION_STRING", "to answer calls"),
        Setting("ACS_ANSWER", ", ".join(settings.ACS_ANSWER) or "none", "calls that are answered"),
        _text("ACS_EVENTS_TENANT", "tenant that issues tokens for Event Grid"),
        _text("ACS_EVENTS_AUDIENCE", "audience of these tokens"),
        _secret("EVIDENCE_KEY", "signs evidence; without it evidence is not signed"),
        Setting(
            "EVIDENCE_FORMER_KEYS",
            ", ".join(settings.EVIDENCE_FORMER_KEYS) or "none",
            "public keys that were used before",
        ),
        _secret("METRICS_TOKEN", "token for /metrics; without one only this host can read it"),
    ]


def _notifications() -> list[Setting]:
    lists = {
        "ALARM_MAIL_CRITICAL": "mails about critical alarms",
        "ALARM_MAIL_MAJOR": "mails about major alarms",
        "ALARM_MAIL_MINOR": "mails about minor alarms",
        "DIGEST_MAIL": f"digest at {settings.DIGEST_HOUR} h, {settings.DIGEST_ZONE}",
    }
    return [
        _text("PUBLIC_URL", "address of the site in links"),
        _secret("EMAIL_URL", "mail server"),
        _text("MAIL_FROM", "sender of mails"),
        *(
            Setting(name, ", ".join(getattr(settings, name)) or "none", meaning)
            for name, meaning in lists.items()
        ),
        Setting(
            "WEBHOOKS_TO_PRIVATE_ADDRESSES",
            _yes_or_no(settings.WEBHOOKS_TO_PRIVATE_ADDRESSES),
            "webhooks may reach addresses of the own network",
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
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        address = f"SQLite {database['NAME']}"
    else:
        port = f":{database['PORT']}" if database.get("PORT") else ""
        host = database.get("HOST") or "local socket"
        address = f"PostgreSQL {database['NAME']} on {host}{port}"
    return [
        Setting("DATABASE_URL", address, "database"),
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
        _text("ROLE", "what the process serves that shows this page"),
        _text("DATA_DIR", "folder of the journals"),
        _text("LOG_LEVEL", "lowest level that is logged"),
    ]


def _text(name: str, meaning: str) -> Setting:
    return Setting(name, str(getattr(settings, name)) or "none", meaning)


def _measure(name: str, unit: str, meaning: str) -> Setting:
    return Setting(name, f"{getattr(settings, name):.12g} {unit}", meaning)


def _secret(name: str, meaning: str) -> Setting:
    return Setting(name, "set" if getattr(settings, name) else "not set", meaning)


def _yes_or_no(value: bool) -> str:  # noqa: FBT001 - a value, not a switch
    return "yes" if value else "no"
