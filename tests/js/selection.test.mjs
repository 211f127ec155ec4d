import assert from "node:assert/strict";
import test from "node:test";

import { between, extent, kept, said } from "../../calls/static/calls/js/call-list/selection.js";

const shown = ["a", "b", "c", "d"];

test("a range holds both ends, whichever was first", () => {
  assert.deepEqual(between(shown, "b", "d"), ["b", "c", "d"]);
  assert.deepEqual(between(shown, "d", "b"), ["b", "c", "d"]);
  assert.deepEqual(between(shown, "c", "c"), ["c"]);
});

test("a range that begins nowhere is the call alone", () => {
  assert.deepEqual(between(shown, "", "c"), ["c"]);
  assert.deepEqual(between(shown, "gone", "a"), ["a"]);
  assert.deepEqual(between(shown, "a", "gone"), []);
});

test("of a selection remains what is still shown", () => {
  assert.deepEqual(kept(["d", "x", "a"], shown), ["d", "a"]);
  assert.deepEqual(kept([], shown), []);
  assert.deepEqual(kept(["a"], []), []);
});

test("how much is selected, and in words", () => {
  assert.deepEqual([0, 1, 4].map((count) => extent(count, 4)), ["none", "some", "all"]);
  assert.equal(extent(0, 0), "none");
  assert.equal(said(0, 4), "Nothing selected");
  assert.equal(said(3, 4), "3 of 4 selected");
});
