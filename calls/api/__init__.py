"""REST: what is remembered, for machines.

urls, views    the addresses
serializers    how calls, participants, sockets and segments look
parameters     what may be asked, and the complaint that names it
filters, pagination
sending        audio: conditional requests, ranges, bodies made in threads
manifest       the proof of a recording, sent while it is read
errors         every exception -> JSON
docs           the schema and its page
"""
