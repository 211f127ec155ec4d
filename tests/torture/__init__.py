"""`make torture`: the durability promises, tested on the real server with real faults.

Calls with numbered audio (`numbered`) are sent over sockets that know how much the server has read
(`media_socket`, `caller`). A fault is injected at a random, seeded moment (`faults`). When the
system has recovered, rows, objects and exports are compared with the sent audio (`verdict`,
`integrity`). The result is a table with one row per fault.
"""
