"""Coverage: whether every call was recorded, by witnesses besides our own journals.

acs_events.py    the history of a call by the events of ACS
stored_events/   names of participants from events, and how long events are kept
due.py           marks calls to be judged, in the transaction of a witness
runner.py        the job that judges them
loading.py       reads the witnesses of a call
judging/         the verdict, as pure functions
verdicts.py      verdicts as rows, and the events about them for other systems
older_calls.py   calls recorded before there was coverage
alarm.py         the alarm that calls were not recorded
refusals.py      refused handshakes as rows
report.py        sums, bars and rows of a range of time
"""
