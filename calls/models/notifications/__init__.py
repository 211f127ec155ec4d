"""Models of notifications: webhooks to other systems, and alarms (docs/notifications.md).

endpoint.py   WebhookEndpoint: an address that wants events
outbox.py     OutgoingEvent, WebhookDelivery, DeliveryAttempt: events, and their deliveries;
              AwaitedEnd: a call with an end that is still to be told
digest.py     SentDigest: days with a digest that has been sent
alarm.py      RaisedAlarm: an alarm, from raised to cleared, and the user in charge
lease.py      JobLease: the process that runs a periodic job
"""
