"""File encoders: samples -> bytes, front to back, while the file is being sent.

wav         PURE  the size is known in advance; any byte range can be encoded alone
compressed        FLAC, MP3 and Opus by libsndfile
mp3         PURE  the Info frame and the sizes of an MP3
ogg         PURE  Ogg pages with a reproducible serial number
"""
