"""The simulator: plays ACS against a media socket, faithfully and with faults on request.

In reading order:

    errors.py        invalid plans, found before anything is sent
    scenario/        one call as a script
      packets.py     PURE  packets of 20 ms, and the protocol of a sound
      audio.py       files and tones -> packets
      identities.py  raw ids of fictional people
      faults.py      PURE  packets as spoken -> packets as they arrive: late, lost, stalled, out of
                     order, twice
      schedule.py    PURE  events of a call and their times: packets, tones, reconnects
      capture.py     journals of the recorder as a script to be replayed
    wire.py          PURE  the JSON that ACS sends
    token.py         the JWT that ACS sends
    plan.py          everything a run needs, as one value
    report.py        the packets sent, and the end of each call
    pacing.py        absolute deadlines on the monotonic clock
    events.py        EDGE  events about a call: its beginning and its end
    call.py          EDGE  one call: its sockets from the first handshake to the close
    play.py          EDGE  all calls of a plan; used by the command and the end-to-end tests
    options.py       options of the command line
    casting.py       parsed options -> a plan
    progress.py      the progress bar and the closing table
    voices/          the spoken demo calls, and the script that made them

    report = await play(Plan(url="ws://127.0.0.1:8000/ws/acs/media", calls=(call,)))

The wire is written here from the protocol itself and shares no code with `streams.acs.messages`, so
that the two check each other.
"""
