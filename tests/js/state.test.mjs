import assert from "node:assert/strict";
import test from "node:test";

import { nothing, participantCount, reduce } from "../../calls/static/calls/js/dashboard/state.js";

const call = (id, second = 0, participants = []) => ({
  id,
  started_at: new Date(Date.UTC(2026, 10, 23, 10, 0, second)).toISOString(),
  participants,
});
const after = (...messages) => messages.reduce(reduce, nothing);
const ids = (state) => state.calls.map((each) => each.id);

test("a snapshot replaces everything, newest first", () => {
  const state = after(
    { type: "call.started", call: call("old") },
    { type: "snapshot", calls: [call("a", 1), call("b", 2)] },
  );
  assert.deepEqual(ids(state), ["b", "a"]);
});

test("a call starts, changes and ends", () => {
  const started = after({ type: "call.started", call: call("a") });
  const updated = reduce(started, { type: "call.updated", call: call("a", 0, [{ id: "p" }]) });
  assert.equal(participantCount(started), 0);
  assert.equal(participantCount(updated), 1);
  assert.deepEqual(ids(reduce(updated, { type: "call.ended", call: call("a") })), []);
});

test("a call that starts twice is there once", () => {
  assert.deepEqual(
    ids(
      after({ type: "call.started", call: call("a") }, { type: "call.started", call: call("a") }),
    ),
    ["a"],
  );
});

test("an update of an unknown call shows it", () => {
  assert.deepEqual(ids(after({ type: "call.updated", call: call("a") })), ["a"]);
});

test("calls of the same time have a fixed order", () => {
  const one = after(
    { type: "call.started", call: call("a") },
    { type: "call.started", call: call("b") },
  );
  const other = after(
    { type: "call.started", call: call("b") },
    { type: "call.started", call: call("a") },
  );
  assert.deepEqual(ids(one), ids(other));
});

test("calls of one millisecond have the order of the server", () => {
  const at = (id, time) => ({ ...call(id), started_at: `2026-11-23T10:00:00${time}Z` });
  const calls = [at("a", ".123900"), at("b", ".123457"), at("c", ".123"), at("d", "")];
  assert.deepEqual(ids(after({ type: "snapshot", calls: [...calls].reverse() })), [
    "a",
    "b",
    "c",
    "d",
  ]);
});

test("a message without effect gives the same state", () => {
  const state = after({ type: "call.started", call: call("a") });
  for (const message of [
    { type: "levels", levels: { p: [-20, -10] } },
    { type: "call.ended", call: call("never seen") },
    {
      type: "alarm.cleared",
      call: "a",
      participant: null,
      alarm: "never raised",
      since: "2026-11-23T10:00:00Z",
    },
    { type: "of tomorrow" },
  ]) {
    assert.equal(reduce(state, message), state);
  }
});

const alarm = (name, second = 0) => ({
  call: "a",
  participant: null,
  alarm: name,
  since: call("", second).started_at,
});
const alarms = (state) => state.alarms.map((each) => each.alarm);

test("an alarm is raised and cleared, oldest first, and calls stay", () => {
  const raised = after(
    { type: "call.started", call: call("a") },
    { type: "alarm", ...alarm("stalled", 5) },
    { type: "alarm", ...alarm("clipping", 2) },
  );
  assert.deepEqual(alarms(raised), ["clipping", "stalled"]);
  assert.deepEqual(raised.alarms[1], alarm("stalled", 5));
  const cleared = reduce(raised, { type: "alarm.cleared", ...alarm("stalled", 9) });
  assert.deepEqual([alarms(cleared), ids(cleared)], [["clipping"], ["a"]]);
});

test("a repeated alarm is there once, with its last time", () => {
  const state = after(
    { type: "alarm", ...alarm("stalled", 5) },
    { type: "alarm", ...alarm("stalled", 2) },
  );
  assert.deepEqual(state.alarms, [alarm("stalled", 2)]);
});

test("a snapshot contains the active alarms", () => {
  const state = after(
    { type: "alarm", ...alarm("old") },
    { type: "snapshot", calls: [], alarms: [alarm("new")] },
  );
  assert.deepEqual(alarms(state), ["new"]);
  assert.deepEqual(after({ type: "snapshot", calls: [] }).alarms, []);
});

test("listeners are replaced as a whole, by a snapshot or a message", () => {
  const state = after({ type: "snapshot", calls: [], listening: { a: 1 } });
  assert.deepEqual(state.listening, { a: 1 });
  assert.deepEqual(reduce(state, { type: "listening", calls: { b: 2 } }).listening, { b: 2 });
  assert.deepEqual(reduce(state, { type: "snapshot", calls: [] }).listening, {});
});

test("a call leaves and comes without touching alarms", () => {
  const state = after(
    { type: "alarm", ...alarm("stalled") },
    { type: "call.started", call: call("a") },
  );
  assert.deepEqual(alarms(reduce(state, { type: "call.ended", call: call("a") })), ["stalled"]);
});

test("a state is never changed, only replaced", () => {
  const state = after({ type: "call.started", call: call("a") });
  Object.freeze(state.calls);
  reduce(state, { type: "call.started", call: call("b") });
  reduce(state, { type: "call.ended", call: call("a") });
  assert.deepEqual(ids(state), ["a"]);
});
