"""Models of what is told to others: webhooks to other systems, and alarms (docs/notifications.md).

endpoint.py   WebhookEndpoint: an address that wants events
outbox.py     OutgoingEvent, WebhookDelivery, DeliveryAttempt: what is sent, and to whom
alarm.py      RaisedAlarm: an alarm, from raised to cleared, and who looks after it
lease.py      JobLease: which process runs a periodic job
"""
