"""The recorder: media sockets in, sealed segments and live state out.

Subpackages in the order of the data path:

    acs          the media socket of Azure Communication Services
    ingest       one open socket, and limits shared by all of them
    journal      append-only files, the durable record of every message
    timeline     packets to runs and gaps on one axis
    sealing      finished journals to segments in the audio store and rows
    live         state, alarms and audio of open calls, published to browsers
    management   commands
    simulator    calls without ACS, for trials and tests

`recorder` connects them in each process; `stats` are its counters, `checks` the system checks.

Reading order: acs/consumer -> acs/messages -> ingest/stream -> journal/records -> recorder ->
timeline/timeline -> sealing/digest -> steps -> rows -> live/board.
"""
