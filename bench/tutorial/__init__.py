"""What one would write after the tutorials of Channels and of ACS: the row that the recorder is
compared with.

It is meant to be a fair one: batched inserts, no needless work, Redis as the tutorial has it.
"""
