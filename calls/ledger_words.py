"""What an entry of the ledger means, in words for whoever looks into a call. PURE."""

from __future__ import annotations

from typing import Any

from calls.live_alarms import WORDS as ALARMS

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
            return f"The clock of the audio jumped {reason} by {abs(float(detail.get('seconds', 0.0))):.1f} s"
        case "rate_change":
            return f"The sample rate changed from {detail.get('before', '?')} to {detail.get('after', '?')} Hz"
        case "recovered":
            return "The recorder had stopped; what it had written was recovered"
        case "damage":
            return DAMAGE.get(reason, f"Damage: {reason}")
        case "alarm":
            return ALARMS.get(reason, reason)
        case "listening":
            return f"{detail.get('user', 'Somebody')} listened in"
        case _:
            return f"{kind} {reason}".strip()
