import assert from "node:assert/strict";
import test from "node:test";

import { arrange } from "../../calls/static/calls/js/dashboard/rows/row-order.js";

test("rows follow the filters while nobody is reading", () => {
  assert.deepEqual(arrange(["a", "b"], ["c", "b"], false), { ids: ["c", "b"], waiting: 0 });
});

test("while someone is reading ended calls stay, and new ones wait and are counted", () => {
  assert.deepEqual(arrange(["a", "b"], ["c", "d", "b"], true), { ids: ["a", "b"], waiting: 2 });
});

test("an empty page shows new calls at once", () => {
  assert.deepEqual(arrange([], ["c"], true), { ids: ["c"], waiting: 0 });
});
