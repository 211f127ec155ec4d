import assert from "node:assert/strict";
import test from "node:test";

import {
  FALL_DB_PER_SECOND,
  GLIDE_MS,
  HOLD_MS,
  SILENCE,
  STALE_MS,
  fraction,
  isStill,
  peakOf,
  quiet,
  rmsOf,
  withLevel,
} from "../../calls/static/calls/js/dashboard/rows/ballistics.js";

test("a meter without a level is silent and still", () => {
  assert.equal(rmsOf(quiet, 0), SILENCE);
  assert.equal(peakOf(quiet, 0), SILENCE);
  assert.ok(isStill(quiet, 0));
});

test("the bar glides to a new level and stays there", () => {
  const meter = withLevel(quiet, -20, -10, 1000);
  assert.equal(rmsOf(meter, 1000), SILENCE);
  assert.equal(rmsOf(meter, 1000 + GLIDE_MS / 2), (SILENCE - 20) / 2);
  assert.equal(rmsOf(meter, 1000 + GLIDE_MS), -20);
  assert.equal(rmsOf(meter, 1000 + STALE_MS), -20);
});

test("a level that comes in mid-glide starts from where the bar is", () => {
  const first = withLevel(quiet, -20, -10, 1000);
  const now = 1000 + GLIDE_MS / 2;
  assert.equal(rmsOf(withLevel(first, -40, -30, now), now), rmsOf(first, now));
});

test("a bar without new levels falls to silence", () => {
  const meter = withLevel(quiet, -20, -10, 0);
  assert.equal(rmsOf(meter, STALE_MS + 1000), -20 - FALL_DB_PER_SECOND);
  assert.equal(rmsOf(meter, 60_000), SILENCE);
  assert.ok(isStill(meter, 60_000));
});

test("the peak is held, then falls, and a lower one does not move it", () => {
  const loud = withLevel(quiet, -20, -6, 0);
  const softer = withLevel(loud, -40, -30, 100);
  assert.equal(peakOf(softer, HOLD_MS), -6);
  assert.equal(peakOf(softer, HOLD_MS + 1000), -6 - FALL_DB_PER_SECOND);
  assert.equal(peakOf(withLevel(softer, -20, -5, 200), 200 + HOLD_MS), -5);
});

test("a peak above the falling marker lifts it at once", () => {
  const meter = withLevel(withLevel(quiet, -20, -6, 0), -20, -12, HOLD_MS + 1000);
  assert.equal(peakOf(meter, HOLD_MS + 1000), -12);
});

test("the scale runs from -60 to 0 dBFS and no further", () => {
  assert.deepEqual([-96, -60, -30, 0, 3].map(fraction), [0, 0, 0.5, 1, 1]);
});
