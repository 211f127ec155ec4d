"""Canary calls: synthetic calls that prove that recording works, from socket to REST.

    token.py      the token of a canary call at the media socket
    account.py    the account that reads canary calls in REST
    runs.py       the rows of runs: begun, finished, no more expected
    status.py     the alarm and the figures that follow from the rows
    jobs.py       periodic jobs: report the alarm, delete old canary calls

`streams.canary` places the calls and compares the audio; docs/canary.md explains both.
"""
