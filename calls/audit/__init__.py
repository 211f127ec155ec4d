"""The audit: one entry for each person or process that saw, heard, exported, changed or deleted
something (docs/audit.md).

chain.py   PURE: the canonical form of an entry, its hash, faults of a chain
actors.py  users, keys of REST, management commands, the system
trail.py   writes entries, each with its place in the chain
"""
