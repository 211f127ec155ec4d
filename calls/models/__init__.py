"""Models of recorded calls; each module holds a model, its query set and its indexes.

    call.py           Call: one call connection, over all its sockets
    subscription.py   Subscription: one AudioMetadata on one socket
    participant.py    Participant: one track of audio
    segment.py        Segment: a stored piece of a track, without gaps
    ledger.py         LedgerEntry: an event of a call that is not audio
    audio_objects.py  AudioBlob, DiscardedAudio: objects of the audio store
    recorder.py       RecorderProcess, FailedJournal: rows for the administrator's overview
    aggregates.py     subqueries that the query sets share
    coverage/         events of ACS, expected calls, refusals, and what was recorded of them
    audit/            who did what with which call; append-only
    evidence/         signed roots of calls
    notifications/    webhooks to other systems, alarms as rows, leases of periodic jobs
    retention/        legal holds

The sealer writes all rows of a call, from journals; nobody edits them. Ids are derived
(`calls.identity`), so writing a row twice is harmless. Audio is in the audio store before its
`Segment` row exists.

Time on the axis is counted in samples since the Unix epoch at the track's own rate: processes agree
on it without coordination. The zero of a call is the minimum over its tracks, computed when it is
read.
"""

from calls.models.audio_objects import AudioBlob, DiscardedAudio
from calls.models.audit.entry import Action, ActorKind, AuditEntry
from calls.models.call import Call, CallQuerySet
from calls.models.coverage.answered import AnsweredCall
from calls.models.coverage.call_coverage import (
    COUNTED,
    CallCoverage,
    FormerVerdict,
    MissingTime,
    MissingTotal,
    coverage_id_of,
)
from calls.models.coverage.canary import CanaryRun
from calls.models.coverage.event import CallEvent
from calls.models.coverage.expected import ExpectedCall
from calls.models.coverage.refusal import RefusedHandshake
from calls.models.evidence.seal import CallSeal, CallSealDue
from calls.models.ledger import LedgerEntry
from calls.models.notifications.alarm import RaisedAlarm
from calls.models.notifications.digest import SentDigest
from calls.models.notifications.endpoint import WebhookEndpoint
from calls.models.notifications.lease import JobLease
from calls.models.notifications.outbox import (
    AwaitedEnd,
    DeliveryAttempt,
    EventType,
    NewEvent,
    OutgoingEvent,
    WebhookDelivery,
)
from calls.models.participant import Participant, ParticipantQuerySet
from calls.models.recorder import SILENT_AFTER, FailedJournal, RecorderProcess
from calls.models.retention.hold import HeldCall, LegalHold
from calls.models.segment import BYTES_PER_SAMPLE, Segment, SegmentQuerySet
from calls.models.subscription import (
    BROKEN,
    CLOCK_TOLERANCE,
    COUNTS,
    HEARTBEAT_TIMEOUT,
    Subscription,
    SubscriptionQuerySet,
    database_now,
)

__all__ = [
    "BROKEN",
    "BYTES_PER_SAMPLE",
    "CLOCK_TOLERANCE",
    "COUNTED",
    "COUNTS",
    "HEARTBEAT_TIMEOUT",
    "SILENT_AFTER",
    "Action",
    "ActorKind",
    "AnsweredCall",
    "AudioBlob",
    "AuditEntry",
    "AwaitedEnd",
    "Call",
    "CallCoverage",
    "CallEvent",
    "CallQuerySet",
    "CallSeal",
    "CallSealDue",
    "CanaryRun",
    "DeliveryAttempt",
    "DiscardedAudio",
    "EventType",
    "ExpectedCall",
    "FailedJournal",
    "FormerVerdict",
    "HeldCall",
    "JobLease",
    "LedgerEntry",
    "LegalHold",
    "MissingTime",
    "MissingTotal",
    "NewEvent",
    "OutgoingEvent",
    "Participant",
    "ParticipantQuerySet",
    "RaisedAlarm",
    "RecorderProcess",
    "RefusedHandshake",
    "Segment",
    "SegmentQuerySet",
    "SentDigest",
    "Subscription",
    "SubscriptionQuerySet",
    "WebhookDelivery",
    "WebhookEndpoint",
    "coverage_id_of",
    "database_now",
]
