"""What an entry of the ledger means, in words for whoever looks into a call. PURE."""

from __future__ import annotations

from typing import Any

GAPS = {
    "not_received": "Audio is missing: it was not received",
    "not_connected": "Audio is missing: no socket was open",
    "not_written": "Audio is missing: the disk took nothing",
    "recorder_stopped": "Audio is missing: the recorder had stopped",
}
DAMAGE = {
    "torn_tail": "The journal ends in the middle of a record",
    "damaged_record": "A record of the journal is damaged",
    "audio_missing": "Stored audio is missing",
    "audio_damaged": "Stored audio is damaged",
}


def words_of(kind: str, reason: str, detail: dict[str, Any]) -> str:
    """One line, no full stop. A kind or reason of the future is told by its name."""
    match kind:
        case "gap":
            return GAPS.get(reason, f"Audio is missing: {reason}")
        case "dtmf":
            return f"Key {detail.get('tone', '?')} was pressed"
        case "reconnect":
            return "ACS connected again"
        case "clock_jump":
            return (
                f"The clock of the audio jumped {reason} by "
                f"{abs(float(detail.get('seconds', 0.0))):.1f} s"
            )
        case "rate_change":
            return (
                f"The sample rate changed from {detail.get('before', '?')} to "
                f"{detail.get('after', '?')} Hz"
            )
        case "recovered":
            return "The recorder had stopped; what it had written was recovered"
        case "damage":
            return DAMAGE.get(reason, f"Damage: {reason}")
        case "alarm":
            return WORDS.get(reason, reason)
        case "listening":
            return f"{detail.get('user', 'Somebody')} listened in"
        case _:
            return f"{kind} {reason}".strip()


CLOSE_CODES = {
    None: "broke off, or our process died",
    1000: "closed in good order",
    1001: "ACS went away",
    1005: "closed without a code",
    1006: "the connection broke",
    1009: "a message was too large",
    1011: "an error of ours",
    1012: "the server was restarted",
    4400: "the handshake was not ACS's",
    4415: "audio that cannot be recorded was announced",
    4422: "nothing of ACS's came",
    4503: "nothing could be recorded",
}


WORDS = {
    "not_written": "Not recorded: the disk takes nothing",
    "no_audio": "No audio since the socket opened",
    "stalled": "Audio has stopped coming",
    "dead_air": "Nobody is heard",
    "one_way": "Has not been heard yet",
    "clipping": "Too loud: clipping",
    "too_low": "Too quiet",
    "malformed": "Many unreadable messages",
    "disk_low": "The disk is nearly full",
    "sealing_behind": "Sealing is behind",
    "store_away": "The audio store is away",
    "database_away": "The database is away",
}
