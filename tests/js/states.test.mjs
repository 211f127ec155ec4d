import assert from "node:assert/strict";
import test from "node:test";

import { complete, facts, spansAt, stateMarks } from "../../calls/static/calls/js/lanes/states.js";

test("a span is told from the first sample, also before it and without an end", () => {
  assert.equal(facts({ start: 2, end: 70 }), "0:02 to 1:10");
  assert.equal(facts({ start: -3.2, end: 70 }), "−0:03 to 1:10");
  assert.equal(facts({ start: 2, end: null }), "from 0:02");
});

test("spans around a moment are named", () => {
  const spans = [
    { start: 1, end: 4, label: "muted" },
    { start: 3, end: 5, label: "on hold" },
  ];
  assert.equal(spansAt(spans, 0.5, 0.1), "");
  assert.equal(spansAt(spans, 3.5, 0.1), "muted, 0:01 to 0:04 · on hold, 0:03 to 0:05");
  assert.equal(spansAt(spans, 5.05, 0.1), "on hold, 0:03 to 0:05");
});

test("a timeline of the version before has neither witnesses nor states", () => {
  const before = { call: "a", tracks: [{ participant: "p" }] };
  assert.deepEqual(complete(before), {
    call: "a",
    tracks: [{ participant: "p", states: [] }],
    witnesses: [],
  });
  const muted = [{ kind: "mute", label: "muted", start: 1, end: 2 }];
  const now = { tracks: [{ states: muted }], witnesses: [{ kind: "events" }] };
  assert.deepEqual(complete(now), now);
});

test("states are cut at the visible part", () => {
  const states = [
    { kind: "mute", start: 0, end: 15 },
    { kind: "hold", start: 18, end: 30 },
    { kind: "hold", start: 25, end: 30 },
  ];
  assert.deepEqual(stateMarks({ start: 10, end: 20 }, 100, states), [
    { kind: "mute", from: 0, to: 50 },
    { kind: "hold", from: 80, to: 100 },
  ]);
});
