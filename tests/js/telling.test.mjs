import assert from "node:assert/strict";
import test from "node:test";

import {
  TONES,
  iconWith,
  mayRing,
  notificationOf,
  titleWith,
  untold,
  worst,
} from "../../calls/static/calls/js/dashboard/alerts/telling.js";

const names = {
  kinds: { phone: "Phone number" },
  words: { stalled: "Audio stalled", dead_air: "Dead air", disk_low: "The disk is nearly full" },
  severities: { critical: ["stalled", "disk_low"], major: ["dead_air"], minor: ["clipping"] },
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

test("an alarm is told once, and again when it is raised again", () => {
  const first = untold([], [alarm()]);
  assert.deepEqual(first.fresh, [alarm()]);
  assert.deepEqual(untold(first.told, [alarm()]).fresh, []);
  const lost = untold(first.told, []); // a snapshot before the recorders repeat their alarms
  assert.deepEqual(untold(lost.told, [alarm()]).fresh, []);
  const again = alarm({ since: "2026-11-23T10:05:00Z" });
  assert.deepEqual(untold(lost.told, [again]).fresh, [again]);
});

test("alarms of other calls and participants are others", () => {
  const { told } = untold([], [alarm()]);
  const others = [alarm({ call: "b" }), alarm({ participant: "p" }), alarm({ alarm: "dead_air" })];
  assert.deepEqual(untold(told, [alarm(), ...others]).fresh, others);
});

test("an alarm is told again when its snooze is over", () => {
  const { told } = untold([], [alarm()]);
  assert.deepEqual(untold(told, [alarm({ care: { until: null } })]).fresh, []);
  const snoozed = alarm({ care: { until: "2026-11-23T10:15:00Z" } });
  assert.deepEqual(untold(told, [snoozed]).fresh, [snoozed]);
});

test("the memory of told alarms is bounded", () => {
  const many = Array.from({ length: 1_500 }, (_, index) => alarm({ call: String(index) }));
  const { told } = untold([], many);
  assert.deepEqual(untold(told, many).fresh, []); // active: told once, however many there are
  const past = untold(told, []).told;
  assert.equal(past.length, 1_000);
  assert.deepEqual(untold(past, [many[1_499]]).fresh, []);
});

test("the worst severity decides", () => {
  const { severities } = names;
  assert.equal(worst([alarm({ alarm: "clipping" })], severities), "minor");
  assert.equal(worst([alarm({ alarm: "dead_air" }), alarm()], severities), "critical");
  assert.equal(worst([alarm({ alarm: "of a later version" })], severities), "major");
});

test("a notification names the alarm and the call, or counts several", () => {
  assert.deepEqual(notificationOf([alarm({ participant: "p" })], [call], names), {
    title: "Audio stalled",
    body: "+15551234567",
  });
  const agent = { id: "q", raw_id: "4:+15552000002", kind: "phone", display_name: "Ada" };
  const both = { ...call, participants: [customer, agent] };
  assert.equal(
    notificationOf([alarm({ participant: "q" })], [both], names).body,
    "Ada · +15551234567 ↔ Ada",
  );
  assert.deepEqual(notificationOf([alarm({ alarm: "disk_low", call: null })], [], names), {
    title: "The disk is nearly full",
    body: "",
  });
  const { title, body } = notificationOf([alarm({ alarm: "dead_air" }), alarm()], [call], names);
  assert.equal(title, "2 new alarms");
  assert.equal(body, "Audio stalled · +15551234567\nDead air · +15551234567");
  const many = ["b", "c", "d", "e", "f"].map((id) => alarm({ call: id }));
  assert.match(notificationOf(many, [], names).body, /\nand 2 more$/);
});

test("sounds are at least five seconds apart, unless the next is more severe", () => {
  assert.ok(mayRing(null, 0, "minor"));
  const last = { at: 1_000, severity: "major" };
  assert.ok(!mayRing(last, 5_999, "major"));
  assert.ok(!mayRing(last, 5_999, "minor"));
  assert.ok(mayRing(last, 1_001, "critical"));
  assert.ok(mayRing(last, 6_000, "minor"));
});

test("the more severe, the more tones, and none overlap", () => {
  assert.ok(TONES.critical.length > TONES.major.length);
  assert.ok(TONES.major.length > TONES.minor.length);
  for (const tones of Object.values(TONES))
    tones.slice(1).forEach(({ at }, index) => assert.ok(at >= tones[index].at + tones[index].seconds));
});

test("the title has the number of alarms before the number of calls", () => {
  assert.equal(titleWith("Live calls", { alarms: 0, calls: 0 }), "Live calls");
  assert.equal(titleWith("Live calls", { alarms: 0, calls: 14 }), "(14) Live calls");
  assert.equal(titleWith("Live calls", { alarms: 2, calls: 14 }), "⚠ 2 · (14) Live calls");
  assert.equal(titleWith("Live calls", { alarms: 1, calls: 0 }), "⚠ 1 · Live calls");
});

test("the icon has the number of alarms, in the colour of the worst", () => {
  assert.equal(iconWith(0, ""), "");
  const read = (icon) => decodeURIComponent(icon.replace("data:image/svg+xml,", ""));
  assert.match(read(iconWith(3, "critical")), /#c2362f.*>3<\/text>/);
  assert.match(read(iconWith(3, "minor")), /#536362.*>3<\/text>/);
  assert.match(read(iconWith(12, "major")), />9\+<\/text>/);
});
