"""Webhooks: events that ACS reports about calls (docs/coverage.md).

views            the two addresses: authenticate, read, store, answer
authentication   credentials of ACS and of Event Grid
parsing    PURE  JSON -> events; errors name the field
storage          events -> rows, each once
effects          consequences of stored events: names of participants, ended calls
counts           counters for /metrics
"""
