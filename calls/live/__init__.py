"""Live calls on dashboards: news of recording processes, the view merged from them, the socket.

Reading order: `messages` (forms), `channel` (transport), `view` with `alarms`, `listeners` and
`totals`, then `outbox` and `levels`, at last `sockets` and `consumer`.
"""
