"""Adaptations of the two ASGI servers, Daphne and uvicorn, and their command lines."""
