"""The other side of the wire: plays ACS against a media socket, faithfully and with faults on
request.

In reading order:

    errors.py    what can be wrong with a plan, before anything is sent
    audio.py     files and tones -> packets of 20 ms
    identities.py  raw ids of people who do not exist
    schedule.py  PURE  what happens in a call, and when: packets, tones, a socket that leaves and
    returns faults.py    PURE  packets as spoken -> packets as they arrive: late, lost, stalled, out
    of order, twice capture.py   journals of the recorder as a script to be played again wire.py
    PURE  the JSON that ACS sends token.py     the JWT that ACS shows plan.py      everything a run
    needs, as one value report.py    what was sent and how it ended; the ledger pacing.py absolute
    deadlines on the monotonic clock call.py      EDGE  one call: its sockets from the first
    handshake to the close play.py      EDGE  all calls of a plan; what the command and the
    end-to-end tests call options.py   the command line -> a plan progress.py  the bar and the
    closing table voices/      the spoken demo calls, and how they were made

    report = await play(Plan(url="ws://127.0.0.1:8000/ws/acs/media", calls=(call,)))

The wire is written here from the protocol itself and shares no code with `streams.acs.messages`, so
that the two check each other.
"""
