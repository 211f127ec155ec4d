"""The audit: who did what with which call. Append-only, and without foreign keys to calls."""
