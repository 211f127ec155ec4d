"""Live state for other processes: the board, alarms, and audio for listeners."""
