"""Rows of events of ACS: the names that they give to participants, and how long they are kept."""
