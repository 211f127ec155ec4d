import assert from "node:assert/strict";
import test from "node:test";

import { COLUMNS, changed, read, written } from "../../calls/static/calls/js/call-list/columns.js";

test("the stored text gives the same columns", () => {
  for (const hidden of [[], ["state"], ["began", "id"], [...COLUMNS]]) {
    assert.deepEqual(read(written(hidden)), hidden);
  }
  assert.equal(written([]), "");
});

test("no choice, and unknown columns, hide nothing", () => {
  for (const text of [null, "", "who", "__proto__ constructor", '["state"]', "STATE"])
    assert.deepEqual(read(text), []);
  assert.deepEqual(read("id nonsense state id"), ["state", "id"]);
});

test("columns are hidden and shown one by one", () => {
  assert.deepEqual(changed([], "id", false), ["id"]);
  assert.deepEqual(changed(["id"], "state", false), ["state", "id"]);
  assert.deepEqual(changed(["state", "id"], "state", true), ["id"]);
  assert.deepEqual(changed(["id"], "id", false), ["id"]);
  assert.deepEqual(changed([], "id", true), []);
  assert.deepEqual(changed([], "who", false), []);
});
