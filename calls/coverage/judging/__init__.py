"""The judgement of a call: pure functions, from the statements of its witnesses to its verdict.

witnesses.py        statements of the witnesses, as plain data
missing_time.py     expected time that was not recorded, with reasons
reconciliation.py   the verdict
spans.py            sets of times
"""
