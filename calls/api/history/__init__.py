"""Addresses of events of a call, of its coverage, of expected calls and of refused handshakes."""
