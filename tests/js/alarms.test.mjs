import assert from "node:assert/strict";
import test from "node:test";

import { alarmsOf, announcement, described } from "../../calls/static/calls/js/dashboard/alarms.js";

const names = {
  kinds: { phone: "Phone number" },
  words: {
    stalled: "Audio stalled",
    too_low: "Too quiet",
    one_way: "One-way audio: nothing heard",
  },
};
const customer = { id: "p", raw_id: "4:+15551234567", kind: "phone", display_name: "" };
const call = { id: "a", call_connection_id: "connection-of-ada", participants: [customer] };
const alarm = (facts = {}) => ({
  call: "a",
  participant: null,
  alarm: "stalled",
  since: "2026-11-23T10:00:05Z",
  ...facts,
});

test("an alarm has a text, a call and a participant", () => {
  assert.deepEqual(described(alarm(), [call], names), {
    text: "Audio stalled",
    call: "+15551234567",
    participant: "",
  });
  const low = alarm({ alarm: "too_low", participant: "p" });
  assert.deepEqual(described(low, [call], names), {
    text: "Too quiet",
    call: "+15551234567",
    participant: "+15551234567",
  });
});

test("an alarm of the recorder names no call, and an unknown alarm has its name", () => {
  const known = described(alarm({ call: null, alarm: "on_fire" }), [call], names);
  assert.deepEqual(known, { text: "on_fire", call: "", participant: "" });
});

test("an alarm of an unknown call names its id", () => {
  assert.equal(described(alarm({ call: "0123456789" }), [], names).call, "Call …23456789");
});

test("a row lists its own alarms with their participants", () => {
  const alarms = [
    alarm(),
    alarm({ alarm: "too_low", participant: "p" }),
    alarm({ call: "b" }),
    alarm({ call: null }),
  ];
  assert.equal(alarmsOf(alarms, call, names), "Audio stalled · Too quiet (+15551234567)");
  const oneWay = alarm({ alarm: "one_way", participant: "p" });
  const text = "One-way audio: nothing heard from +15551234567";
  assert.equal(alarmsOf([oneWay], call, names), text);
  assert.equal(alarmsOf([], call, names), "");
});

test("each change is announced once", () => {
  const low = alarm({ alarm: "too_low", participant: "p" });
  assert.equal(announcement([], [alarm()], [call], names), "Alarm: Audio stalled, +15551234567.");
  assert.equal(
    announcement([alarm()], [alarm({ since: "2026-11-23T09:00:00Z" })], [call], names),
    "",
  );
  assert.equal(
    announcement([alarm()], [low], [call], names),
    "Alarm: Too quiet, +15551234567, +15551234567. Cleared: Audio stalled, +15551234567.",
  );
});

test("of many at once only the number is announced", () => {
  const many = ["a", "b", "c", "d"].map((id) => alarm({ call: id }));
  assert.equal(announcement([], many, [], names), "Alarm: 4 alarms.");
});
