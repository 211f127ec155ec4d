"""File encoders: samples -> bytes, front to back, while the file is being sent.

wav         PURE  the size is known in advance; any byte range can be encoded alone
flac              FLAC by libsndfile, only front to back
sections    PURE  MP3 and Opus: sections of known size that are encoded alone
mp3_file          MP3 by LAME
mp3         PURE  the Info frame, the sizes and the joins of an MP3
opus_file         Opus in Ogg by libopus
opus        PURE  padding of Opus packets
ogg         PURE  Ogg pages with a reproducible serial number
libsndfile        its encoders, fed block by block
"""
