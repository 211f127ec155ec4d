import assert from "node:assert/strict";
import test from "node:test";

import {
  alarmsOf,
  announcement,
  described,
  ranked,
  severityOf,
  withoutCanaries,
} from "../../calls/static/calls/js/dashboard/alarms.js";
import { place } from "../../calls/static/calls/js/dashboard/placing.js";

const names = {
  kinds: { phone: "Phone number" },
  words: {
    stalled: "Audio stalled",
    too_low: "Too quiet",
    one_way: "One-way audio: nothing heard",
  },
  severities: { critical: ["stalled"], major: ["one_way"], minor: ["too_low"] },
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

test("alarms of canary calls are left out, those of calls that are unknown are not", () => {
  const [own, unknown] = [alarm(), alarm({ call: "b" })];
  const recorder = alarm({ call: null, alarm: "disk_low" });
  const all = [own, unknown, recorder];
  assert.deepEqual(withoutCanaries(all, [call]), all);
  assert.deepEqual(withoutCanaries(all, [{ ...call, canary: true }]), [unknown, recorder]);
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
  for (const each of [alarms, [...alarms].reverse()])
    assert.equal(alarmsOf(each, call, names), "Audio stalled · Too quiet (+15551234567)");
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
  assert.equal(announcement([], many.slice(1), [], names).match(/Alarm: Audio stalled/g).length, 3);
});

test("alarms are ranked by severity, and the newest is first among equals", () => {
  const low = alarm({ alarm: "too_low", since: "2026-11-23T10:00:59Z" });
  const older = alarm({ call: "b", since: "2026-11-23T10:00:01Z" });
  const unknown = alarm({ alarm: "on_fire" });
  const alarms = Object.freeze([low, older, unknown, alarm()]);
  assert.deepEqual(ranked(alarms, names.severities), [alarm(), older, unknown, low]);
  assert.equal(severityOf(unknown, names.severities), "major");
  assert.equal(severityOf(low, names.severities), "minor");
});

test("alarms of the same time have one order, whichever came first", () => {
  const together = [alarm(), alarm({ call: "b" }), alarm({ participant: "p" })];
  const [first, second] = [together, [...together].reverse()].map((each) =>
    ranked(each, names.severities),
  );
  assert.deepEqual(first, second);
});

test("elements are put in order, and the one with the focus is never moved", () => {
  const orders = [[], ["b"], ["c", "b", "a"], ["b", "a"], ["a", "c", "b"], ["d", "b", "a", "c"]];
  for (const wanted of orders) {
    for (const focused of ["a", "b", "c"]) {
      const parent = new Parent(["a", "b", "c"]);
      const all = new Map(parent.children.map((child) => [child.name, child]));
      all.set("d", new Child("d"));
      place(
        parent,
        wanted.map((name) => all.get(name)),
        all.get(focused),
      );
      assert.deepEqual(
        parent.children.map((child) => child.name),
        wanted,
      );
      if (!wanted.includes(focused)) continue;
      assert.equal(all.get(focused).moves, 0, `${focused}: ${wanted}`);
    }
  }
});

class Child {
  moves = 0;
  parent = null;

  constructor(name) {
    this.name = name;
  }

  get nextElementSibling() {
    return this.parent.children[this.parent.children.indexOf(this) + 1] ?? null;
  }

  contains(other) {
    return other === this;
  }

  remove() {
    this.parent.children = this.parent.children.filter((child) => child !== this);
  }
}

class Parent {
  constructor(names) {
    this.children = names.map((name) => Object.assign(new Child(name), { parent: this }));
  }

  get firstElementChild() {
    return this.children[0] ?? null;
  }

  append(child) {
    this.insertBefore(child, null);
  }

  insertBefore(child, next) {
    if (child.parent) child.remove();
    child.moves += 1;
    child.parent = this;
    const place = next === null ? this.children.length : this.children.indexOf(next);
    this.children.splice(place, 0, child);
  }
}
