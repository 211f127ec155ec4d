"""WebSocket close codes of a normal end. PURE."""

GOOD_CLOSE_CODES = (1000, 1001, 1005)
"""Normal closure, going away, no code (RFC 6455, section 7.4.1). Any other code is a break."""
