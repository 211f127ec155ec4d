"""The normal end of a media socket: by its close code, or by an event of ACS. PURE."""

from datetime import timedelta

GOOD_CLOSE_CODES = (1000, 1001, 1005)
"""Normal closure, going away, no code (RFC 6455, section 7.4.1). Any other code is a break."""

END_TOLERANCE = timedelta(seconds=5)
"""A socket that breaks so shortly before ACS reports the end of the call was closed by it: the two
moments are of different clocks.
"""
