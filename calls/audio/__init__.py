"""Audio of segments: FLAC codec, levels in dBFS, and waveform overviews."""
