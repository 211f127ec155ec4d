"""Turns sealed segments into a file: plan, read, render, encode.

    errors       PURE  errors and their HTTP status
    axis         PURE  the time axis of a call: one zero, one rate, whole samples
    formats      PURE  file formats, the channels and rates they support
    track        PURE  one participant's audio on the axis
    plan         PURE  tracks, samples and layout of an export; its ETag
    queries            rows -> recordings and axes
    segments           audio store -> samples, checked against their hash
    read_ahead         the same in threads, before the samples are needed
    rendering    PURE  samples of a plan: silence, resampling, mixing
    encoders           samples -> WAV, FLAC, MP3, Opus
    export             one export: ETag, size, bytes
    file_names         names of downloaded files
    manifest           hashes, gaps and damage of a recording as JSON

Memory does not grow with the length of a call: work is done in blocks, a track holds its current
segment, and at most four more are read ahead.
"""
