"""A day of a call centre in some minutes: what is planted has to be found, second by second.

plan.py       what is planted: calls, faults, and what coverage has to say of them
acs.py        the part of ACS: media sockets and events
day.py        plays the plan against servers behind nginx, and reads what they say
__main__.py   200 calls: `python -m tests.end_to_end.day --calls 200`
"""
