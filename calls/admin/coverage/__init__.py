"""The admin of what was expected and refused (calls/models/coverage/)."""
