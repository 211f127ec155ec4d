"""Models of notifications: webhooks to other systems, and alarms (docs/notifications.md).

endpoint.py   WebhookEndpoint: an address that wants events
outbox.py     OutgoingEvent, WebhookDelivery, DeliveryAttempt: events, and their deliveries;
              AwaitedEnd: a call whose end is still to be told
digest.py     SentDigest: days whose digest has been sent
alarm.py      RaisedAlarm: an alarm, from raised to cleared, and the user in charge
lease.py      JobLease: which process runs a periodic job
"""
