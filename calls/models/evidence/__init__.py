"""Rows of evidence.

seal.py  CallSeal: a signed root of a call; CallSealDue: calls to be sealed
"""
