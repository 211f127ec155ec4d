"""What can go wrong in an export.

ExportFault
 ├── WrongParameter        400  a value that cannot be used here; names the parameter
 ├── NoAudio               404  nothing of the call is sealed
 ├── UnknownParticipant    404  nobody of that id in the call
 ├── SegmentDamaged        500  the stored audio is not what was sealed: it is never handed out
 └── StoreUnavailable      503  the audio store does not answer
"""

from __future__ import annotations

from uuid import UUID


class ExportError(Exception):
    status = 500
    parameter = "detail"
    """The name that the message stands under in the answer."""


class WrongParameter(ExportError):
    status = 400

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class NoAudio(ExportError):
    status = 404

    def __init__(self) -> None:
        super().__init__("Nothing of this call is sealed, so there is no audio.")


class UnknownParticipant(ExportError):
    status = 404
    parameter = "participant"

    def __init__(self) -> None:
        super().__init__("This call has no such participant.")


class SegmentDamaged(ExportError):
    def __init__(self, segment_id: UUID) -> None:
        super().__init__(
            f"The stored audio of segment {segment_id} is missing or not what was sealed."
        )
        self.segment_id = segment_id


class StoreUnavailable(ExportError):
    status = 503

    def __init__(self) -> None:
        super().__init__("The audio store does not answer. Try again.")
