"""Coverage: whether every call was recorded, by witnesses besides our own journals.

limits.py        limits of what other systems may state
members.py       members of the JSON of an event
acs_events.py    the history of a call by the events of ACS
stored_events/   names of participants from events, and how long events are kept
history.py       the same from their rows
call_events.py   events of a call in order of time
causes.py        causes of missing audio by the events
imports/         import of call detail records
expected.py      statements of other systems, as rows
refusals.py      refused handshakes as rows
due.py           marks calls to be judged, in the transaction of a witness
judging/         the verdict, as pure functions
job/             the job that judges the calls that are due
report.py        sums, bars and rows of a range of time
figures.py       figures for metrics
"""
