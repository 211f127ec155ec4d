"""The audit of all actions with calls. Append-only, and without foreign keys to calls."""
