import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Care } from "../../calls/static/calls/js/dashboard/care/care.js";

const ADDRESS = "/alarms/";
const alarm = (name) => ({ call: "a", participant: null, alarm: name, since: "2026-11-23T10:00:05Z" });

let asked; // addresses
let answers; // what the server answers to actions, one after the other

async function fetched(address) {
  asked.push(address);
  if (address === ADDRESS) return { ok: true, json: async () => ({ alarms: [] }) };
  const { status, row = {} } = answers.shift();
  return { ok: status === 200, status, json: async () => row };
}

/** Lets all promises settle. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Moves the clock; `eachSecond` is called once a second. */
async function pass(seconds, eachSecond = () => {}) {
  for (let second = 0; second < seconds; second += 1) {
    mock.timers.tick(1_000);
    eachSecond();
    await settled();
  }
}

beforeEach(() => {
  [asked, answers] = [[], []];
  mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  mock.method(performance, "now", () => now);
  const tick = mock.timers.tick.bind(mock.timers);
  mock.method(mock.timers, "tick", (ms) => {
    now += ms;
    tick(ms);
  });
  globalThis.fetch = fetched;
  globalThis.document = { querySelector: () => ({ value: "token" }) };
});

afterEach(() => {
  mock.restoreAll();
  mock.timers.reset();
  delete globalThis.document;
});

test("alarms that are repeated every second do not delay the question", async () => {
  const care = new Care(ADDRESS, () => {});
  await pass(30, () => care.of([alarm("stalled")]));
  assert.ok(asked.length >= 4 && asked.length <= 5, `${asked.length} questions in 30 s`);
});

test("a new alarm is asked for soon, also while alarms come all the time", async () => {
  const care = new Care(ADDRESS, () => {});
  let count = 0;
  await pass(20, () => care.of(Array.from({ length: (count += 1) }, (_, at) => alarm(`of ${at}`))));
  assert.ok(asked.length >= 9, `${asked.length} questions in 20 s`);
});

test("without alarms it is asked once a minute", async () => {
  const care = new Care(ADDRESS, () => {});
  await pass(130, () => care.of([]));
  assert.equal(asked.length, 3);
});

test("an alarm that was cleared meanwhile is no error", async () => {
  let changes = 0;
  const care = new Care(ADDRESS, () => (changes += 1));
  answers = [{ status: 409 }, { status: 404 }];
  assert.equal(await care.act("acknowledge", ["1", "2"]), "");
  assert.equal(changes, 1);
});

test("what went wrong is said, also without a token", async () => {
  const care = new Care(ADDRESS, () => {});
  answers = [{ status: 500 }];
  assert.equal(
    await care.act("acknowledge", ["1"]),
    "That was not saved: the server answered 500.",
  );
  globalThis.document = { querySelector: () => null };
  assert.match(await care.act("acknowledge", ["1"]), /^That was not saved: /);
});
