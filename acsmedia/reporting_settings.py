"""Settings of what comes in about calls, and what is told to others: events of ACS, coverage,
webhooks, mail and canary calls. `acsmedia.settings` includes them.
"""

from __future__ import annotations

from typing import Any

from environs import validate

from acsmedia.environment import each, env, signing_key, zone_name

# --- events of ACS (streams/acs/webhooks/) --------------------------------------------------------
# Event Grid does not sign its requests. It sends one of these, or its address is closed.
ACS_EVENTS_TOKEN = env.str("ACS_EVENTS_TOKEN", "")  # the secret in ?token=
ACS_EVENTS_TENANT = env.str("ACS_EVENTS_TENANT", "")  # of Entra ID: issuer of its bearer tokens
ACS_EVENTS_AUDIENCE = env.str("ACS_EVENTS_AUDIENCE", "")  # application id that the tokens are for
# events of calls that were never recorded; the others are deleted with their call
EVENTS_WITHOUT_CALL_DAYS = env.float(
    "EVENTS_WITHOUT_CALL_DAYS", 30.0, validate=validate.Range(1, 3650)
)

# --- answering calls (streams/acs/answering/) -----------------------------------------------------
ACS_CONNECTION_STRING = env.str("ACS_CONNECTION_STRING", "")  # endpoint=…;accesskey=…
ACS_ANSWER: list[str] = env.list(
    "ACS_ANSWER",  # numbers and raw ids that are called; nothing is answered by default
    default=[],
    validate=each(
        r"!?[^\s*!]*\*?\Z",
        error="use numbers or raw ids such as +15551234567, +1555* or 28:orgid:…, each without "
        "spaces, with * only at its end.",
    ),
)

# --- coverage (calls/coverage/) -------------------------------------------------------------------
COVERAGE_TARGET = env.float("COVERAGE_TARGET", 99.9, validate=validate.Range(0, 100))  # percent
# from the end of a call until it is judged: events and the last segments come meanwhile
COVERAGE_DELAY_SECONDS = env.float(
    "COVERAGE_DELAY_SECONDS", 120.0, validate=validate.Range(0, 86_400)
)

# --- evidence (calls/evidence/) -------------------------------------------------------------------
# private Ed25519 key (PEM) that signs evidence; without it evidence is not signed
EVIDENCE_KEY = env.str("EVIDENCE_KEY", "", validate=signing_key)
# public keys that were used before, as `manage.py evidence_key --show` prints them
EVIDENCE_FORMER_KEYS: list[str] = env.list(
    "EVIDENCE_FORMER_KEYS",
    default=[],
    validate=each(r"[0-9a-f]{64}\Z", error="use public keys of 64 hexadecimal digits."),
)

# --- webhooks to other systems (calls/notifications/) ---------------------------------------------
WEBHOOKS_TO_PRIVATE_ADDRESSES = env.bool("WEBHOOKS_TO_PRIVATE_ADDRESSES", default=False)


# --- mail (calls/notifications/mail.py) -----------------------------------------------------------
def _addresses(variable: str) -> list[str]:
    check = each(r"\s*[^@\s]+@[^@\s]+\s*\Z", error="use mail addresses, separated by commas.")
    listed: list[str] = env.list(variable, default=[], validate=check)
    return [address.strip() for address in listed]


_NO_MAIL: dict[str, Any] = {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}

EMAIL_URL = env.str(  # such as submission://user:password@host
    "EMAIL_URL",
    "",
    validate=validate.Regexp(
        r"((smtp|submission)://[^/]+.*|console:.*|file:.+|dummy:.*|memory:.*)?\Z",
        error="use an address such as submission://user:password@mail.example.com.",
    ),
)
_mail: dict[str, Any] = env.dj_email_url("EMAIL_URL") if EMAIL_URL else _NO_MAIL
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail.get("EMAIL_FILE_PATH") or None
EMAIL_TIMEOUT = _mail.get("EMAIL_TIMEOUT") or 10  # seconds
MAIL_FROM = env.str("MAIL_FROM", "")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = MAIL_FROM or "acsmedia@localhost"

ALARM_MAIL_CRITICAL = _addresses("ALARM_MAIL_CRITICAL")
ALARM_MAIL_MAJOR = _addresses("ALARM_MAIL_MAJOR")
ALARM_MAIL_MINOR = _addresses("ALARM_MAIL_MINOR")
DIGEST_MAIL = _addresses("DIGEST_MAIL")
DIGEST_HOUR = env.int("DIGEST_HOUR", 7, validate=validate.Range(0, 23))
DIGEST_ZONE = env.str("DIGEST_ZONE", "UTC", validate=zone_name)
