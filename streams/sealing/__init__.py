"""Sealing: finished journals become audio in the store and rows in the database."""
