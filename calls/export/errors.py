"""Errors of an export, each with its HTTP status. PURE.

ExportError
 ├── WrongParameter        400  a value that cannot be used here; names the parameter
 ├── NoAudio               404  the call has no sealed audio
 ├── UnknownParticipant    404  the call has no participant with this id
 ├── SegmentDamaged        500  the stored audio is missing or altered; it is never sent
 ├── StoreUnavailable      503  the audio store is unreachable
 └── AuditUnavailable      503  the audit could not be written: without an entry no audio
"""

from __future__ import annotations

from uuid import UUID


class AccessEnded(Exception):
    """The user may not have the file any more. No response: one that has begun is cut off, so that
    its beginning is not taken for a complete file.
    """


class ExportError(Exception):
    status = 500
    parameter = "detail"
    """The key of the message in the JSON response."""


class WrongParameter(ExportError):
    status = 400

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class NoAudio(ExportError):
    status = 404

    def __init__(self) -> None:
        super().__init__("This call has no sealed audio.")


class UnknownParticipant(ExportError):
    status = 404
    parameter = "participant"

    def __init__(self) -> None:
        super().__init__("This call has no such participant.")


class SegmentDamaged(ExportError):
    def __init__(self, segment_id: UUID) -> None:
        super().__init__(f"The stored audio of segment {segment_id} is missing or damaged.")
        self.segment_id = segment_id


class StoreUnavailable(ExportError):
    status = 503

    def __init__(self) -> None:
        super().__init__("The audio store is unreachable. Try again.")


class AuditUnavailable(ExportError):
    status = 503

    def __init__(self) -> None:
        super().__init__("The audit cannot be written, so no audio is sent. Try again.")
