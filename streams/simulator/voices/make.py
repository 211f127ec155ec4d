"""Makes the demo calls in this folder with espeak-ng: `python streams/simulator/voices/make.py`.

One FLAC file per participant, 16 kHz mono. Both files of a call share one clock: each is silent
while the other speaks.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
SAMPLE_RATE = 16000  # Hz
LEAD_SECONDS = 0.6  # before the first line
LEVEL = 0.35  # peak of each line, of full scale: about -9 dBFS
TURN_SECONDS = 0.45  # default pause between two lines


@dataclass(frozen=True)
class Speaker:
    """A voice of espeak-ng: name (`espeak-ng --voices=en`, `--voices=variant`), words per minute,
    pitch 0 to 99.
    """

    name: str
    speed: int
    pitch: int


@dataclass(frozen=True)
class Line:
    """One turn. `pause` in seconds after the previous line; a negative one interrupts it."""

    speaker: str
    text: str
    pause: float = TURN_SECONDS


@dataclass(frozen=True)
class Script:
    name: str
    speakers: dict[str, Speaker]
    lines: tuple[Line, ...]


ORDER = Script(
    "order",
    {"agent": Speaker("en-us+f3", 182, 55), "caller": Speaker("en-gb", 168, 38)},
    (
        Line("agent", "Good morning, Northwind Traders, this is Paula. How can I help you?"),
        Line(
            "caller",
            "Hello Paula. I ordered a standing lamp last Monday, and it still has not arrived.",
            0.7,
        ),
        Line("agent", "I am sorry to hear that. May I have the order number, please?"),
        Line("caller", "Of course, one moment. It is four, seven, one, one, zero, eight.", 1.4),
        Line("agent", "Four, seven, one, one, zero, eight. Thank you. I am looking it up.", 0.3),
        Line("caller", "Thanks.", -0.2),
        Line(
            "agent",
            "Here it is. The parcel left our warehouse on Wednesday and is at your local depot.",
            2.2,
        ),
        Line("caller", "So it is on its way? Nobody told me.", 0.25),
        Line(
            "agent",
            "It is. The driver will come tomorrow between nine and twelve. Does that suit you?",
        ),
        Line(
            "caller",
            "Tomorrow morning is fine. Could he leave it with my neighbour, at number twelve?",
            0.8,
        ),
        Line("agent", "I have added a note for the driver. Is there anything else?"),
        Line("caller", "No, that was all. Thank you very much, Paula.", 0.3),
        Line("agent", "You are welcome. Have a nice day. Goodbye.", 0.3),
        Line("caller", "Goodbye.", 0.2),
    ),
)
ROUTER = Script(
    "router",
    {"agent": Speaker("en-gb-scotland+m3", 165, 45), "caller": Speaker("en-us+f4", 175, 62)},
    (
        Line("agent", "Technical support, my name is Ewan. What can I do for you?"),
        Line(
            "caller",
            "Hi. My internet has been down since last night, and the router just blinks red.",
            0.5,
        ),
        Line(
            "agent",
            "Let us have a look. Which light is blinking, the one on the left or the one on the "
            "right?",
        ),
        Line("caller", "The left one. It says D S L.", 0.6),
        Line("agent", "Good. Please pull the power plug, count to ten, and plug it in again."),
        Line("caller", "All right, I am unplugging it now.", 0.3),
        Line("agent", "Take your time.", -0.1),
        Line(
            "caller",
            "Ten. It is plugged in. Now everything is green, and the left one is blinking slowly.",
            3.5,
        ),
        Line(
            "agent", "That means it is looking for the line. I can see your router from here.", 0.3
        ),
        Line("caller", "Oh! It stopped blinking. It is green now.", 0.9),
        Line("agent", "Perfect. There was an update in the night that it did not finish.", -0.3),
        Line("caller", "Yes, my mail is coming in. That was quick. Thank you!", 0.5),
        Line("agent", "My pleasure. Call us again if it happens once more. Bye.", 0.3),
        Line("caller", "Bye bye.", 0.15),
    ),
)
APPOINTMENT = Script(
    "appointment",
    {"agent": Speaker("en-gb-x-rp+f2", 162, 58), "caller": Speaker("en-us+m7", 150, 32)},
    (
        Line("agent", "Doctor Fabrikam's practice, good afternoon."),
        Line("caller", "Good afternoon. I would like to make an appointment for a check up.", 0.6),
        Line("agent", "Certainly. Have you been with us before?"),
        Line("caller", "Yes, two years ago. The name is Miller, with an I.", 0.5),
        Line(
            "agent",
            "Mister Miller, there you are. Would Thursday the third, at half past ten, be "
            "possible?",
            1.2,
        ),
        Line("caller", "Thursday. Let me see. No, I am afraid I am travelling on Thursday.", 1.5),
        Line("agent", "What about the Friday, quarter to nine?", 0.3),
        Line("caller", "Quarter to nine is early, but yes, that works.", 0.6),
        Line("agent", "Wonderful. Friday, quarter to nine. Please come with an empty stomach."),
        Line("caller", "No breakfast. And no coffee either?", 0.3),
        Line("agent", "Black coffee is allowed.", 0.2),
        Line("caller", "Then I shall survive. Thank you. See you on Friday.", 0.3),
        Line("agent", "See you on Friday, mister Miller. Goodbye.", 0.3),
    ),
)
SCRIPTS = (ORDER, ROUTER, APPOINTMENT)

Samples = NDArray[np.float32]
"""Mono, 16 kHz, shape (n,), full scale ±1."""


def main() -> None:
    for script in SCRIPTS:
        for speaker, track in tracks_of(script).items():
            soundfile.write(
                FOLDER / f"{script.name}-{speaker}.flac",
                track,
                SAMPLE_RATE,
                "PCM_16",
                compression_level=1.0,
            )


def tracks_of(script: Script) -> dict[str, Samples]:
    """Returns one track per speaker, each as long as the whole call, rounded up to a second."""
    placed: list[tuple[str, int, Samples]] = []
    position = LEAD_SECONDS
    for line in script.lines:
        samples = spoken(script.speakers[line.speaker], line.text)
        position += line.pause if placed else 0.0
        placed.append((line.speaker, round(position * SAMPLE_RATE), samples))
        position += len(samples) / SAMPLE_RATE
    length = int(np.ceil(position + LEAD_SECONDS)) * SAMPLE_RATE
    tracks = {speaker: np.zeros(length, np.float32) for speaker in script.speakers}
    for speaker, start, samples in placed:
        tracks[speaker][start : start + len(samples)] += samples
    return tracks


def spoken(speaker: Speaker, text: str) -> Samples:
    """Returns one line without the silence around it. Raises `CalledProcessError` if espeak-ng
    fails.
    """
    command = [
        "espeak-ng",
        "-v",
        speaker.name,
        "-s",
        str(speaker.speed),
        "-p",
        str(speaker.pitch),
        "--stdout",
        text,
    ]
    wave = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - our own texts
    samples, rate = soundfile.read(BytesIO(wave), dtype="float32")
    samples = soxr.resample(samples, rate, SAMPLE_RATE, quality="VHQ")
    audible = np.flatnonzero(np.abs(samples) > 0.002)
    samples = samples[audible[0] : audible[-1] + 1]
    return np.asarray(samples * (LEVEL / np.abs(samples).max()), np.float32)


if __name__ == "__main__":
    main()
