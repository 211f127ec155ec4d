"""The admin of notifications: webhook endpoints, and read-only records of events and alarms.

endpoint.py   webhook endpoints: secret, events, test
records.py    events, deliveries with their attempts, alarms
"""
