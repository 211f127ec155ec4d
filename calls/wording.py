"""Texts for events of a call, alarms, refusals, close codes and call states. PURE."""

from __future__ import annotations

from statistics import median
from typing import Any

CALL_STATES = {"live": "Live", "ended": "Ended", "interrupted": "Interrupted"}

ALARMS = {
    "not_written": "Not being recorded: disk error",
    "no_audio": "Connected, no audio received",
    "stalled": "Audio stalled",
    "dead_air": "Dead air",
    "one_way": "One-way audio: nothing heard",
    "clipping": "Too loud: clipping",
    "too_low": "Too quiet",
    "malformed": "Malformed messages from ACS",
    "odd_timestamp": "Timestamps from ACS cannot be read",
    "wrong_rate": "Wrong sample rate: check the announced audio format",
    "disk_low": "The disk is nearly full",
    "not_synced": "fsync fails: a power cut would lose audio",
    "sealing_behind": "Sealing is behind",
    "store_away": "The audio store is unreachable",
    "database_away": "The database is unreachable",
    "acs_refused": "ACS is being refused: calls are not recorded",
    "canary_failed": "Canary call failed: recording may be broken",
    "calls_missing": "Calls were not recorded",
    "webhook_failing": "A webhook endpoint accepts no events",
}
"""Alarm name -> text, true while the alarm is active and afterwards."""

ALARM_SEVERITIES = {
    "critical": (
        *("acs_refused", "not_written", "no_audio", "stalled", "disk_low"),
        *("canary_failed", "calls_missing"),
    ),
    "major": (
        *("one_way", "dead_air", "wrong_rate", "odd_timestamp"),
        *("not_synced", "store_away", "database_away"),
    ),
    "minor": ("clipping", "too_low", "malformed", "sealing_behind", "webhook_failing"),
}
"""Severity -> alarms. Critical: audio is being lost, or soon will be. Major: people do not hear
each other, times are wrong, or a part of the installation is unreachable. Minor: worth a look.
"""


def severity_of(alarm: str) -> str:
    """Returns the severity of an alarm; "major" for one of a later version."""
    ranked = (severity for severity, names in ALARM_SEVERITIES.items() if alarm in names)
    return next(ranked, "major")


INSTALLATION_ALARMS = ("canary_failed", "calls_missing", "webhook_failing")
"""Alarms of the whole installation: a job reports them, not a recording process."""

CANARY_FAILURES = {
    "refused": "the media socket refused it",
    "unreachable": "the media socket did not answer",
    "interrupted": "the media socket was closed before the end",
    "not_in_rest": "it did not appear in REST in time",
    "incomplete": "a part of its audio did not appear in REST in time",
    "rest_failed": "REST did not answer as expected",
    "audio_unreadable": "its audio could not be read",
    "samples_differ": "its audio came back changed",
    "shifted": "its audio came back at another time",
    "stopped": "no canary call was placed in time",
}
"""Reason of a failed canary run -> text."""

ANSWER_FAILURES = {
    "unreachable": "Call Automation did not answer",
    "service_error": "Call Automation had an error, or too many requests",
    "credentials": "Call Automation refused the key: check ACS_CONNECTION_STRING",
    "rejected": "Call Automation refused the request: the call may ring no more",
    "too_late": "The event of the call came when it did not ring any more",
}
"""Reason of an incoming call that was not answered -> text."""

REFUSALS = {
    "no_header": "no token of ACS",
    "several_headers": "several tokens of ACS",
    "header_too_long": "token of ACS too long",
    "not_bearer": "authorization is not a bearer token",
    "malformed": "malformed token",
    "wrong_algorithm": "token has the wrong algorithm",
    "no_key_id": "token names no key",
    "unknown_key": "token signed with an unknown key",
    "wrong_signature": "token has a wrong signature",
    "expired": "token expired: check the clock of this host",
    "not_yet_valid": "token not yet valid: check the clock of this host",
    "missing_claim": "token lacks a claim",
    "wrong_issuer": "token of another issuer",
    "wrong_audience": "token for another resource: check ACS_RESOURCE_ID",
    "no_stream_token": "no stream token in the address",
    "wrong_stream_token": "wrong stream token in the address",
    "wrong_canary_token": "named as a canary call, without its token: check SECRET_KEY",
    "query_too_long": "query string too long",
    "no_keys": "Microsoft's key server does not answer",
    "overloaded": "too many handshakes at once",
    "wrong_process": "sent to a process that does not record (ROLE=web)",
    "wrong_path": "wrong path: the media socket is /ws/acs/media",
    "not_upgraded": "not a WebSocket handshake: the proxy does not pass Upgrade",
    "bad_handshake": "unusable call id",
    "not_recording": "nothing could be recorded: no space, or a disk error",
}
"""Reason of a refused handshake -> text."""

STREAMING_DETAILS = {
    "subscriptionStarted": "ACS started streaming",
    "subscriptionStopped": "ACS was told to stop streaming",
    "streamConnectionReestablished": "ACS connected again",
    "streamConnectionInterrupted": "ACS lost its connection",
    "streamConnectionUnsuccessful": "ACS could not connect again",
    "streamUrlMissing": "ACS had no address to stream to",
    "serviceShutdown": "a service of ACS shut down",
    "speechServicesConnectionError": "ACS could not reach its speech service",
    "authenticationFailure": "ACS could not authenticate",
    "badRequest": "ACS rejected its own request as malformed",
    "tooManyRequests": "ACS limited the number of its requests",
    "forbidden": "ACS was not allowed to stream",
    "serviceTimeout": "a service of ACS did not answer in time",
    "initialWebSocketConnectionFailed": "ACS could not open the media socket (8581)",
    "unspecifiedError": "ACS gives no reason",
}
"""`mediaStreamingStatusDetails` of ACS -> text: why ACS streams, or does not."""

ACS_EVENTS = {
    "IncomingCall": "Incoming call",
    "AnswerFailed": "Answering failed",
    "CreateCallFailed": "Placing the call failed",
    "ConnectFailed": "Connecting to the call failed",
    "AddParticipantSucceeded": "Participant added",
    "AddParticipantFailed": "Adding a participant failed",
    "CancelAddParticipantSucceeded": "Adding a participant was cancelled",
    "CancelAddParticipantFailed": "Cancelling an invitation failed",
    "RemoveParticipantSucceeded": "Participant removed",
    "RemoveParticipantFailed": "Removing a participant failed",
    "MoveParticipantSucceeded": "Participant moved from another call",
    "MoveParticipantFailed": "Moving a participant failed",
    "MoveParticipantsSucceeded": "Participants moved from another call",
    "MoveParticipantsFailed": "Moving participants failed",
    "CallTransferAccepted": "Call transferred",
    "CallTransferFailed": "Transferring the call failed",
    "HoldFailed": "Putting a participant on hold failed",
    "RecordingStateChanged": "Recording by ACS",
    "StartRecordingFailed": "ACS could not start its recording",
    "RecordingFileStatusUpdated": "Recording of ACS available",
    "TeamsRecordingStateChanged": "Recording by Teams",
    "TeamsComplianceRecordingStateChanged": "Compliance recording by Teams",
}
"""Type of an ACS event -> text. The events that are notes on a call's page."""

MISSING = "Audio missing: "
_GAPS = {
    "not_received": "not received",
    "not_connected": "no socket open",
    "not_written": "disk error",
    "recorder_stopped": "recorder stopped",
    "not_known": "reason not known",
}
REFUSED = "refused_"
_MISSING = {
    "never_streamed": "ACS never opened a media socket",
    "not_sealed": "in a journal that is not sealed yet",
}
MISSING_REASONS = (*_GAPS, *_MISSING)
"""Reasons of missing time that do not come from ACS or from a refusal."""

_DAMAGE = {
    "torn_tail": "Journal ends in the middle of a record",
    "damaged_record": "Damaged record in the journal",
    "audio_missing": "Stored audio is missing",
    "audio_damaged": "Stored audio is damaged",
}
_RESOLVED = {
    "audio_missing": "Stored audio was missing and has been found again",
    "audio_damaged": "Stored audio was damaged and has been restored",
}
_ALONE = {
    "reconnect": "Reconnected",
    "recovered": "Recorder stopped unexpectedly; its audio was recovered",
}
_DONE = {
    "acknowledged": "acknowledged the alarm",
    "snoozed": "snoozed the alarm",
    "released": "released the alarm",
}
_CLOSE_CODES = {
    None: "connection lost, or the recorder crashed",
    1000: "closed normally",
    1001: "closed by ACS: going away",
    1005: "closed without a code",
    1006: "connection lost",
    1009: "message too large",
    1011: "internal server error",
    1012: "server restarted",
    4400: "handshake not from ACS",
    4415: "unsupported audio format",
    4422: "no ACS messages received",
    4503: "recording unavailable",
}


def event_text(kind: str, reason: str, detail: dict[str, Any]) -> str:
    """Describes a ledger entry in one line without a full stop.

    Kinds and reasons of later versions are shown by their names.
    """
    match kind:
        case "gap":
            return gap_text(reason, detail.get("cause", ""))
        case "dtmf":
            return f"DTMF {detail.get('tone', '?')} (keypad)"
        case "reconnect" | "recovered":
            return _ALONE[kind]
        case "clock_jump":
            return f"Audio clock jumped {reason} by {abs(float(detail.get('seconds', 0.0))):.1f} s"
        case "rate_change":
            before, after = detail.get("before", "?"), detail.get("after", "?")
            return f"Sample rate changed from {before} to {after} Hz"
        case "damage":
            texts = _RESOLVED if "resolved_at" in detail else _DAMAGE
            return texts.get(reason, f"Damage: {reason}")
        case "alarm":
            return ALARMS.get(reason, reason)
        case "alarm_handled":
            return _handled_text(reason, detail)
        case "listening":
            return _listening_text(detail)
        case _:
            return f"{kind} {reason}".strip()


def _handled_text(reason: str, detail: dict[str, Any]) -> str:
    alarm = ALARMS.get(detail.get("alarm", ""), "Alarm")
    return f"{detail.get('user', 'Someone')} {_DONE.get(reason, reason)}: {alarm}"


def _listening_text(detail: dict[str, Any]) -> str:
    is_recording = detail.get("through") == "recording"
    did = "played the recording so far" if is_recording else "listened in"
    return f"{detail.get('user', 'Someone')} {did}"


def refusal_text(reason: str) -> str:
    """Describes the reason of a refused handshake; one of a later version by its name."""
    return REFUSALS.get(reason, reason)


def gap_text(reason: str, cause: str = "") -> str:
    """Describes a gap by its reason; `cause`: why ACS did not stream, a key of
    STREAMING_DETAILS.
    """
    because = f" ({STREAMING_DETAILS.get(cause, cause)})" if cause else ""
    return f"{MISSING}{_GAPS.get(reason, reason)}{because}"


def missing_text(reason: str) -> str:
    """Describes the reason of time that was expected and not recorded: of a gap, of ACS, or of a
    refused handshake (with `refused_` before it).
    """
    if reason.startswith(REFUSED):
        refusal = reason.removeprefix(REFUSED)
        return f"refused: {REFUSALS.get(refusal, refusal)}"
    if reason.isdigit():  # a code of ACS
        return f"ACS could not stream ({reason})"
    return _MISSING.get(reason) or STREAMING_DETAILS.get(reason) or _GAPS.get(reason, reason)


def repeated_text(kind: str, reason: str, text: str, count: int, lengths: list[float]) -> str:
    """Describes `count` events that repeat, of which `text` describes one; `lengths` in seconds."""
    if kind == "gap" and lengths:
        why = text.removeprefix(MISSING)
        return f"{count} gaps of {lengths_text(lengths)}: {why}"
    return f"{text}, {count} times"


def lengths_text(lengths: list[float]) -> str:
    """Describes similar lengths by their median, others by the shortest and the longest."""
    shortest, longest = min(lengths), max(lengths)
    if longest <= 2 * shortest:
        return f"about {_seconds_text(median(lengths))} s"
    return f"{_seconds_text(shortest)} to {_seconds_text(longest)} s"


def _seconds_text(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}"


def close_text(code: int | None) -> str:
    """Describes the close code of a media socket; None: closed without a close frame."""
    return _CLOSE_CODES.get(code, "closed")
