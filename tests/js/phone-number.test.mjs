import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { numberParts } from "../../calls/static/calls/js/phone-number.js";

const cases = JSON.parse(readFileSync(new URL("numbers.json", import.meta.url), "utf8"));

test("the page and the server agree on phone numbers", () => {
  assert.ok(cases.length > 30);
  for (const { text, parts } of cases)
    assert.deepEqual(numberParts(text), parts, JSON.stringify(text));
});
