import assert from "node:assert/strict";
import test from "node:test";

import { clock, counted, level, shortId, timeOfDay } from "../../calls/static/calls/js/format.js";

test("durations are a running clock", () => {
  assert.deepEqual([0, 7.9, 59, 60, 245, 3599, 3600, 3729, 360000].map(clock), [
    "0:00",
    "0:07",
    "0:59",
    "1:00",
    "4:05",
    "59:59",
    "1:00:00",
    "1:02:09",
    "100:00:00",
  ]);
});

test("negative and invalid durations are zero", () => {
  assert.deepEqual([-5, NaN, Infinity].map(clock), ["0:00", "0:00", "0:00"]);
});

test("levels are whole decibels with a minus sign", () => {
  assert.deepEqual(
    [-23.4, -59.9, -0.6, -0.2, 0].map((dbfs) => level(dbfs)),
    ["−23 dB", "−60 dB", "−1 dB", "0 dB", "0 dB"],
  );
});

test("levels at the floor, below it, and missing ones are silent", () => {
  assert.deepEqual(
    [-60, -96, NaN, undefined, null].map((dbfs) => level(dbfs)).slice(0, 4),
    Array(4).fill("silent"),
  );
});

test("singular and plural", () => {
  assert.equal(counted(1, "second", "seconds"), "1 second");
  assert.equal(counted(0, "second", "seconds"), "0 seconds");
});

test("long ids are shortened to their end", () => {
  assert.equal(shortId("12345678"), "12345678");
  assert.equal(shortId("a-123456789"), "…23456789");
});

test("an invalid time is empty", () => {
  assert.match(timeOfDay("2026-11-23T10:00:00Z"), /^\d\d:00:00$|^\d\d:\d\d:00$/);
  assert.equal(timeOfDay("yesterday"), "");
});
