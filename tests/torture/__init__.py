"""`make torture`: what is promised of durability, tried on the real server with real faults.

Calls whose audio carries its own sequence (`numbered`) are sent over sockets that know what the
server has read (`media_socket`, `caller`); a fault is injected at a random, seeded moment
(`faults`); when the system has healed, rows, objects and exports are compared with what was sent
(`verdict`, `integrity`), one row of a table for each fault.
"""
