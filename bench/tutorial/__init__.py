"""An application as the tutorials of Channels and ACS suggest, to compare the recorder with.

The comparison is meant to be fair: batched inserts, no needless work, Redis as in the tutorial.
"""
