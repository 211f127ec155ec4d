import assert from "node:assert/strict";
import test from "node:test";

import { arrange } from "../../calls/static/calls/js/dashboard/rows/row-order.js";

test("rows stand as they are wanted while nobody reads", () => {
  assert.deepEqual(arrange(["a", "b"], ["c", "b"], false), { ids: ["c", "b"], waiting: 0 });
});

test("while somebody reads nothing moves: ended calls stay, new ones wait and are counted", () => {
  assert.deepEqual(arrange(["a", "b"], ["c", "d", "b"], true), { ids: ["a", "b"], waiting: 2 });
});

test("a page without rows has nobody to disturb", () => {
  assert.deepEqual(arrange([], ["c"], true), { ids: ["c"], waiting: 0 });
});
