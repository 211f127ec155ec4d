"""Webhooks to other systems, signed as Standard Webhooks 1.0.0 says (docs/notifications.md).

delivery.py    the next delivery that is due, and the outcome of an attempt
threads.py     a thread per endpoint, so that none delays another
http_post.py   one request: checked address, bounded time and size, no redirects
signing.py     secrets, bodies and headers
addresses.py   PURE: addresses that are not public
retries.py     PURE: times of repeated deliveries
"""
