"""Models of retention: what keeps recordings from being deleted (docs/retention.md).

hold.py   LegalHold, HeldCall: a hold on calls, or on all calls of a number
"""
