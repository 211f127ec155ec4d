"""The admin of retention.

asking.py       the page that asks for a reason
call_holds.py   holding the calls that are selected in the list of calls
hold.py         legal holds: those that are and were in force, setting one by number, lifting
"""
