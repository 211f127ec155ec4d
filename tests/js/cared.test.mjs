import assert from "node:assert/strict";
import test from "node:test";

import { ranked } from "../../calls/static/calls/js/dashboard/alarms.js";
import {
  careText,
  isSnoozed,
  withCare,
} from "../../calls/static/calls/js/dashboard/care/cared.js";

const alarm = (facts = {}) => ({
  call: "a",
  participant: null,
  alarm: "stalled",
  since: "2026-11-23T10:00:05Z",
  ...facts,
});
const row = (facts = {}) => ({
  ...alarm(),
  id: "1",
  is_of_job: false,
  acknowledged_at: null,
  acknowledged_by: null,
  snoozed_until: null,
  ...facts,
});
const NOW = Date.parse("2026-11-23T10:10:00Z");

test("an alarm gets who looks after it, as soon as it is a row", () => {
  assert.equal(withCare([alarm()], [])[0].care, null);
  const acknowledged = { acknowledged_by: "ada", acknowledged_at: "2026-11-23T10:03:00Z" };
  assert.deepEqual(withCare([alarm()], [row(acknowledged)])[0].care, {
    ids: ["1"],
    by: "ada",
    since: "2026-11-23T10:03:00Z",
    until: null,
  });
  assert.equal(withCare([alarm()], [row({ alarm: "dead_air" })])[0].care, null);
});

test("rows of several processes are looked after together, and quiet while all are", () => {
  const [quiet, later] = ["2026-11-23T10:15:00Z", "2026-11-23T10:20:00Z"];
  const rows = (second) => [row({ snoozed_until: later }), row({ id: "2", snoozed_until: second })];
  assert.deepEqual(withCare([alarm()], rows(quiet))[0].care.ids, ["1", "2"]);
  assert.equal(withCare([alarm()], rows(quiet))[0].care.until, quiet);
  assert.equal(withCare([alarm()], rows(null))[0].care.until, null);
});

test("alarms of jobs are added, those of processes that are gone are not", () => {
  const canary = row({ call: null, alarm: "canary", is_of_job: true });
  const [live, ofJob, ...others] = withCare([alarm()], [canary, row({ alarm: "dead_air" })]);
  assert.equal(live.alarm, "stalled");
  assert.equal(ofJob.alarm, "canary");
  assert.ok(ofJob.isOfJob && !live.isOfJob);
  assert.deepEqual(ofJob.care.ids, ["1"]);
  assert.deepEqual(others, []);
  assert.equal(withCare([alarm({ call: null, alarm: "canary" })], [canary]).length, 1);
});

test("a snooze ends", () => {
  const until = (time) => alarm({ care: { ids: ["1"], by: null, since: null, until: time } });
  assert.ok(isSnoozed(until("2026-11-23T10:15:00Z"), NOW));
  assert.ok(!isSnoozed(until("2026-11-23T10:05:00Z"), NOW));
  assert.ok(!isSnoozed(until(null), NOW));
  assert.ok(!isSnoozed(alarm(), NOW));
});

test("the text says who, since when, and how long it is quiet", () => {
  const text = (care) => careText(alarm({ care }), NOW);
  const local = (time) => new Date(time).toTimeString().slice(0, 5);
  const since = "2026-11-23T10:03:00Z";
  assert.equal(text(null), "");
  assert.equal(text({ by: "ada", since, until: null }), `ada since ${local(since)}`);
  const until = "2026-11-23T10:15:00Z";
  assert.equal(text({ by: null, since: null, until }), `snoozed until ${local(until)}`);
  assert.equal(
    text({ by: "ada", since, until: "2026-11-30T10:10:00Z" }),
    `ada since ${local(since)}, snoozed`,
  );
});

test("alarms that are snoozed come last", () => {
  const severities = { critical: ["stalled"], minor: ["clipping"] };
  const [loud, quiet] = [alarm({ alarm: "clipping" }), alarm()];
  assert.deepEqual(ranked([quiet, loud], severities), [quiet, loud]);
  assert.deepEqual(
    ranked([quiet, loud], severities, (each) => each === quiet),
    [loud, quiet],
  );
});
