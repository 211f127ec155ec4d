"""Notifications: webhooks to other systems, alarms as rows, and mail (docs/notifications.md).

outbox.py   adds events for other systems, in the transaction of their fact
care.py     acknowledges, snoozes and releases alarms
alarms.py   keeps the rows of alarms equal to the reports of their origins
"""
