"""Errors of a plan, found before anything is sent.

BadPlan
├── UnreadableAudio   a file that does not exist or that soundfile cannot read
├── UnusableKey       a private key that cannot sign RS256
└── UnusableCapture   a journal that does not exist, is damaged at the front, or has no audio

The command turns each into a message and exit code 2.
"""

from __future__ import annotations


class BadPlan(Exception):
    """The run is not possible as requested; the message names the option or file."""


class UnreadableAudio(BadPlan):
    pass


class UnusableKey(BadPlan):
    pass


class UnusableCapture(BadPlan):
    pass
