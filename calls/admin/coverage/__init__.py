"""The admin of refused handshakes, events of ACS, answered calls and canary runs: read only.

refusal.py    handshakes that were refused
event.py      events that ACS has reported
answered.py   incoming calls that acsmedia was to answer
canary.py     calls that acsmedia has placed to test itself
"""
