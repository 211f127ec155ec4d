"""Journals: one append-only file per stream, its folder, and its sync to disk."""
