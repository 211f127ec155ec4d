"""The job that judges calls, and writes their verdicts.

runner.py        calls that are due: when to judge them, and when to look again
loading.py       reads the witnesses of a call
joining.py       calls that are known by their correlation id, and then by their connection
verdicts.py      verdicts as rows, and the events about them for other systems
older_calls.py   calls recorded before there was coverage
alarm.py         the alarm that calls were not recorded
"""
