import assert from "node:assert/strict";
import test from "node:test";

import {
  missingText,
  reasonsOf,
  refusedRows,
  refusedText,
  unknown,
} from "../../calls/static/calls/js/dashboard/refusals.js";

const words = { expired: "token expired", no_header: "no token" };
const state = {
  reporting: 1,
  silent_since: null,
  refused: { from_acs: { expired: 3, odd: 1 }, others: { no_header: 2412, expired: 1 } },
};

test("a recorder that does not report is missing, and the text says what that means", () => {
  assert.equal(missingText(unknown), "");
  assert.equal(missingText(state), "");
  const since = "2026-11-23T10:00:05Z";
  assert.match(
    missingText({ ...state, silent_since: since }),
    /^A recorder has not .* may be lost\.$/,
  );
  assert.match(
    missingText({ ...unknown, silent_since: since }),
    /^No recorder .* not being recorded/,
  );
});

test("recorders without a common Redis are not seen", () => {
  assert.match(missingText({ ...state, unseen: 1 }), /^1 recorder has calls .* REDIS_URL\.$/);
  assert.match(missingText({ ...state, unseen: 2 }), /^2 recorders have calls/);
  const silent = { ...state, unseen: 2, silent_since: "2026-11-23T10:00:05Z" };
  assert.match(missingText(silent), /^A recorder has not/);
});

test("refusals of strangers do not hide one from ACS", () => {
  assert.deepEqual(refusedText(unknown), ["", ""]);
  assert.deepEqual(refusedText(state), ["4 refused", " from ACS"]);
  const strangers = { ...state, refused: { from_acs: {}, others: { no_header: 2412 } } };
  assert.deepEqual(refusedText(strangers), ["2,412 refused", ", none from ACS"]);
  assert.deepEqual(refusedRows(state, words), [
    ["token expired", 3, 1],
    ["odd", 1, 0],
    ["no token", 0, 2412],
  ]);
  assert.equal(reasonsOf(state, words), "token expired (3), odd (1)");
  assert.equal(reasonsOf(strangers, words), "");
});
