"""Answers incoming calls with audio streaming on, for installations without an application that
does (docs/answering.md).

    answerer.py      events -> claims -> answers, each call once
    claims.py        rows: claimed by one process, and finished
    call_automation  the SDK of Microsoft, an optional package
    rules.py         the called number or account -> whether to answer
    counts.py        counters for /metrics
"""
