"""Listening in on a live call: its messages, and the socket that sends audio to a browser."""
