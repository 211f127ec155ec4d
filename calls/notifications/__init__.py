"""Notifications: webhooks to other systems, alarms as rows, and mail (docs/notifications.md).

outbox.py             adds events for other systems, in the transaction of their fact
call_events.py        events about the start and the end of calls
payloads.py           the JSON of a call in events
webhooks/             delivers events to other systems
failing_webhooks.py   the alarm about endpoints that do not answer
mail.py               sends mails about alarms; digest.py: one mail a day
alarms.py             keeps the rows of alarms equal to the reports of their origins
care.py               acknowledges, snoozes and releases alarms
"""
