"""Coverage: whether every call was recorded, by witnesses besides our own journals.

acs_events.py       the history of a call by the events of ACS
witnesses.py        statements of the witnesses, as plain data
missing_time.py     expected time that was not recorded, with reasons
reconciliation.py   the verdict
spans.py            sets of times
report.py           sums, bars and rows of a range of time
"""
