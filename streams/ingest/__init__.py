"""One open media socket, and the limits that keep many of them fair."""
