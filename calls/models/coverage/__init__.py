"""Models of the question whether every call was recorded (docs/coverage.md).

    event.py           CallEvent: an event that ACS reported about a call
    expected.py        ExpectedCall: a call that took place, as another system says
    refusal.py         RefusedHandshake: a media socket that was not accepted
    call_coverage.py   CallCoverage, MissingTime, FormerVerdict: expected and recorded, compared
    canary.py          CanaryRun: a synthetic call that proves that recording works
    answered.py        AnsweredCall: an incoming call that acsmedia answers

None of them has a foreign key to `Call`: a call that was never streamed has no row there, and an
event may come before the call's socket.
"""
