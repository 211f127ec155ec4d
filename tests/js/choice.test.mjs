import assert from "node:assert/strict";
import test from "node:test";

import {
  chosen,
  everything,
  read,
  sinceOf,
  stateOf,
  written,
} from "../../calls/static/calls/js/dashboard/choice.js";
import { Voice } from "../../calls/static/calls/js/dashboard/rows/voice.js";

const NOW = Date.UTC(2026, 10, 23, 12);
const call = (id, minutesAgo, ...rawIds) => ({
  id,
  call_connection_id: `connection-${id}`,
  correlation_id: "",
  started_at: new Date(NOW - minutesAgo * 60_000).toISOString(),
  participants: rawIds.map((rawId) => ({
    id: `${id} ${rawId}`,
    raw_id: rawId,
    kind: "phone",
    display_name: "",
  })),
});
const ada = call("ada", 1, "4:+491111");
const bob = call("bob", 20, "4:+490000");
const eve = call("eve", 90);
const calls = [ada, bob, eve];
const voices = new Map([
  ["ada 4:+491111", new Voice()],
  ["bob 4:+490000", new Voice()],
]);
voices.get("bob 4:+490000").addLevel(-20, -10, 0);
const alarms = [{ call: "eve", participant: null, alarm: "no_audio", since: "" }];
const context = { alarms, voices, kinds: {}, now: 100, clock: NOW };
const ids = (choice) => chosen(calls, { ...everything, ...choice }, context).map((each) => each.id);

test("the address bar holds the choice", () => {
  const choice = {
    q: "+49 11",
    state: "silent",
    longer: 5,
    alarm: "stalled",
    canaries: "only",
    sort: "longest",
  };
  assert.deepEqual(read(written(choice)), choice);
  assert.equal(written(everything), "");
  assert.deepEqual(read(""), { ...everything });
});

test("unknown values are ignored", () => {
  assert.deepEqual(read("?state=angry&longer=-3&canaries=all&sort=__proto__&x=1"), { ...everything });
});

test("calls are found by number, by id, and by all words together", () => {
  assert.deepEqual(ids({ q: "491111" }), ["ada"]);
  assert.deepEqual(ids({ q: "CONNECTION-bo" }), ["bob"]);
  assert.deepEqual(ids({ q: "connection 49" }), ["ada", "bob"]);
  assert.deepEqual(ids({ q: "nobody" }), []);
});

test("calls are found by a number as people write it", () => {
  for (const q of ["+49 (0)11-11", "0049 1111", "(49) 11 11", "01111"])
    assert.deepEqual(ids({ q }), ["ada"], q);
});

test("calls are found by state, duration and alarm", () => {
  assert.deepEqual(ids({ state: "speaking" }), ["bob"]);
  assert.deepEqual(ids({ state: "silent" }), ["ada"]);
  assert.deepEqual(ids({ state: "waiting" }), ["eve"]);
  assert.deepEqual(ids({ state: "alarm" }), ["eve"]);
  assert.deepEqual(ids({ longer: 20 }), ["bob", "eve"]);
  assert.deepEqual(ids({ alarm: "no_audio" }), ["eve"]);
  assert.deepEqual(ids({ alarm: "stalled" }), []);
});

test("canary calls are hidden unless they are chosen", () => {
  const listed = [...calls, { ...eve, id: "canary", canary: true }];
  const found = (canaries) =>
    chosen(listed, { ...everything, canaries }, context).map(({ id }) => id);
  assert.deepEqual(found(""), ["ada", "bob", "eve"]);
  assert.deepEqual(found("shown"), ["ada", "bob", "eve", "canary"]);
  assert.deepEqual(found("only"), ["canary"]);
});

test("calls are sorted as chosen", () => {
  assert.deepEqual(ids({}), ["ada", "bob", "eve"]);
  assert.deepEqual(ids({ sort: "longest" }), ["eve", "bob", "ada"]);
  assert.deepEqual(ids({ sort: "identity" }), ["bob", "ada", "eve"]);
  assert.deepEqual(ids({ sort: "state" }), ["bob", "ada", "eve"]);
  assert.deepEqual(ids({ sort: "alarm" }), ["eve", "ada", "bob"]);
});

test("a pause for breath is still speaking", () => {
  assert.equal(stateOf(bob, voices, 2900), "speaking");
  assert.equal(stateOf(bob, voices, 3100), "silent");
});

test("a call is speaking since its last voice began, and silent since the last speech", () => {
  const [one, two] = [new Voice(), new Voice()];
  const both = call("both", 60, "4:+491", "4:+492");
  const known = new Map([
    ["both 4:+491", one],
    ["both 4:+492", two],
  ]);
  assert.equal(sinceOf(eve, known, 0), null);
  assert.equal(sinceOf(both, known, 0), null, "nothing is known yet");
  for (const voice of [one, two]) voice.addLevel(-90, -80, 0);
  one.addLevel(-20, -10, 10_000);
  two.addLevel(-20, -10, 12_000);
  assert.equal(sinceOf(both, known, 12_500), 12_000);
  assert.equal(sinceOf(both, known, 60_000), 12_000, "silent");
});

test("a number is found however its digits are grouped", () => {
  const context = { alarms: [], voices: new Map(), kinds: {}, now: 0, clock: NOW };
  const found = (q) => chosen(calls, { ...everything, q }, context).map(({ id }) => id);
  assert.deepEqual(found("+49 (11) 1-1"), ["ada"]);
  assert.deepEqual(found("49-00/00"), ["bob"]);
  assert.deepEqual(found("( ) -"), []);
  assert.deepEqual(found("4:49"), [], "the prefix of the raw id is no part of the number");
});
