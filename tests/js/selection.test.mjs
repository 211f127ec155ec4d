import assert from "node:assert/strict";
import test from "node:test";

import {
  between,
  extent,
  retained,
  summary,
} from "../../calls/static/calls/js/call-list/selection.js";

const shown = ["a", "b", "c", "d"];

test("a range includes both ends, in either direction", () => {
  assert.deepEqual(between(shown, "b", "d"), ["b", "c", "d"]);
  assert.deepEqual(between(shown, "d", "b"), ["b", "c", "d"]);
  assert.deepEqual(between(shown, "c", "c"), ["c"]);
});

test("a range without an anchor is the call alone", () => {
  assert.deepEqual(between(shown, "", "c"), ["c"]);
  assert.deepEqual(between(shown, "gone", "a"), ["a"]);
  assert.deepEqual(between(shown, "a", "gone"), []);
});

test("only visible calls stay selected", () => {
  assert.deepEqual(retained(["d", "x", "a"], shown), ["d", "a"]);
  assert.deepEqual(retained([], shown), []);
  assert.deepEqual(retained(["a"], []), []);
});

test("the extent of a selection, and its text", () => {
  assert.deepEqual(
    [0, 1, 4].map((count) => extent(count, 4)),
    ["none", "some", "all"],
  );
  assert.equal(extent(0, 0), "none");
  assert.equal(summary(0, 4), "None selected");
  assert.equal(summary(3, 4), "3 of 4 selected");
});
