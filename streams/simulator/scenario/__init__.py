"""One call as a script: its audio, its participants, its faults and its events."""
