"""From segments to a file: plan, render, encode, send.

    faults       what can go wrong, each with its status
    axis         PURE  where samples lie: one zero, one rate, whole samples
    track        PURE  the pieces of one participant's audio on the axis
    plan         PURE  which tracks, which samples, in which arrangement; the ETag
    recordings   EDGE  rows -> tracks
    reading      EDGE  audio store -> samples, checked against their hash
    ahead        EDGE  the same before it is wanted, in threads of its own
    rendering    samples of any stretch of the plan: silence, resampling, mixing
    wav          PURE  a header that is known beforehand, and bytes -> samples
    encoding     samples -> FLAC, MP3, Opus, in the order of the file (mp3 and ogg: what their heads
    need) byteranges   PURE  RFC 9110, section 14 peaks        samples, or what is stored of them
    (coarse, PURE) -> min/max pairs body         EDGE  the bytes to the client: made in threads, one
    piece ahead at most

Memory is flat whatever the length of a call: work is done in blocks, a track holds the segment it
is in, and four more are read ahead.
"""
