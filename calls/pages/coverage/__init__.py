"""Pages about coverage: was every call recorded? (docs/coverage.md#the-page).

page.py       `/coverage/`, its CSV, and the line of the dashboard
call.py       `/coverage/<id>/`: a call that was never recorded
rows.py       the calls of a range, those with faults first
witnesses.py  what events, statements and our own sockets say about one call
sentence.py   the one sentence that operators read
axis.py       the witnesses on the time axis of a recorded call
period.py     days that the page is about
chart.py      bars per hour and per day
"""
