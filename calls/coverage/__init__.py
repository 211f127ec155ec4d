"""Was every call recorded? What witnesses say took place, against what was recorded.

report.py   sums, bars and rows of a range of time
"""
