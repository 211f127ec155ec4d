"""Canary calls: placed through the public address, fetched back through REST, compared.

    run.py          one run: place, wait, fetch, compare
    sound.py        the audio of a run: noise that no other run has
    comparison.py   sent against received, sample by sample
    rest.py         the client of REST
    addresses.py    the addresses of the media socket and of REST

Rows, alarm and account are in `calls.canary`; the call is played by `streams.simulator`.
"""
