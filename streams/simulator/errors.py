"""What can be wrong with a plan, found before anything is sent.

BadPlan
├── UnreadableAudio   a file that is not there or that soundfile cannot read
├── UnusableKey       a private key that cannot sign RS256
└── UnusableCapture   a journal that is not there, is damaged at the front, or holds no audio

The command turns each into a message and exit code 2.
"""

from __future__ import annotations


class BadPlan(Exception):
    """The run cannot be made as asked; the message names the option or file."""


class UnreadableAudio(BadPlan):
    pass


class UnusableKey(BadPlan):
    pass


class UnusableCapture(BadPlan):
    pass
