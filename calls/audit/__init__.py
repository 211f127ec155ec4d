"""The audit: who saw, heard, exported, changed or deleted what (docs/audit.md).

chain.py   PURE: the canonical form of an entry, its hash, faults of a chain
actors.py  who acts: users, keys of REST, management commands, the system
trail.py   writes entries, each with its place in the chain
"""
