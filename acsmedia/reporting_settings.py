"""Settings of what comes in about calls, and what is told to others: events of ACS, coverage,
webhooks, mail and canary calls. `acsmedia.settings` includes them.
"""

from __future__ import annotations

from environs import validate

from acsmedia.environment import each, env

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

# --- webhooks to other systems (calls/notifications/) ---------------------------------------------
WEBHOOKS_TO_PRIVATE_ADDRESSES = env.bool("WEBHOOKS_TO_PRIVATE_ADDRESSES", default=False)
