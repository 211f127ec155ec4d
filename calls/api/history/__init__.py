"""Addresses of events of a call and of refused handshakes."""
