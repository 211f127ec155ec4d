"""Addresses of what has happened: events of a call, refused handshakes."""
