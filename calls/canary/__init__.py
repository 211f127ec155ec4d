"""Canary calls: synthetic calls that prove that recording works, from socket to REST.

token.py      the token of a canary call at the media socket

`streams.canary` places the calls and compares the audio; docs/canary.md explains both.
"""
