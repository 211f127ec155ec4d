import assert from "node:assert/strict";
import test from "node:test";

import { described, onCard, spoken } from "../../calls/static/calls/js/dashboard/alarms.js";

const names = { kinds: { phone: "Phone number" }, words: { stalled: "Audio has stopped coming", too_low: "Too quiet" } };
const customer = { id: "p", raw_id: "4:+15551234567", kind: "phone", display_name: "" };
const call = { id: "a", call_connection_id: "connection-of-ada", participants: [customer] };
const alarm = (facts = {}) => ({ call: "a", participant: null, alarm: "stalled", since: "2026-11-23T10:00:05Z", ...facts });

test("an alarm says what, where and who", () => {
  assert.deepEqual(described(alarm(), [call], names), { what: "Audio has stopped coming", call: "Call …n-of-ada", who: "" });
  const low = alarm({ alarm: "too_low", participant: "p" });
  assert.deepEqual(described(low, [call], names), { what: "Too quiet", call: "Call …n-of-ada", who: "+15551234567" });
});

test("an alarm of the recorder names no call, and one of tomorrow its name", () => {
  const known = described(alarm({ call: null, alarm: "on_fire" }), [call], names);
  assert.deepEqual(known, { what: "on_fire", call: "", who: "" });
});

test("an alarm of a call that is not known yet names its id", () => {
  assert.equal(described(alarm({ call: "0123456789" }), [], names).call, "Call …23456789");
});

test("a card says its own alarms, and whose they are", () => {
  const alarms = [alarm(), alarm({ alarm: "too_low", participant: "p" }), alarm({ call: "b" }), alarm({ call: null })];
  assert.equal(onCard(alarms, call, names), "Audio has stopped coming · Too quiet (+15551234567)");
  assert.equal(onCard([], call, names), "");
});

test("each change is said once", () => {
  const low = alarm({ alarm: "too_low", participant: "p" });
  assert.equal(spoken([], [alarm()], [call], names), "Alarm: Audio has stopped coming, Call …n-of-ada.");
  assert.equal(spoken([alarm()], [alarm({ since: "2026-11-23T09:00:00Z" })], [call], names), "");
  assert.equal(
    spoken([alarm()], [low], [call], names),
    "Alarm: Too quiet, +15551234567, Call …n-of-ada. Over: Audio has stopped coming, Call …n-of-ada.",
  );
});

test("of many at once only the number is said", () => {
  const many = ["a", "b", "c", "d"].map((id) => alarm({ call: id }));
  assert.equal(spoken([], many, [], names), "Alarm: 4 alarms.");
});
