import assert from "node:assert/strict";
import test from "node:test";

import { BROKE, codeOfRefusal, GIVEN_UP, SLOW, wordsOfEnd } from "../../calls/static/calls/js/listen/ending.js";
import { ListenSocket, MAX_ATTEMPTS, OPEN_WITHIN_MS, SILENT_AFTER_MS } from "../../calls/static/calls/js/listen/listen-socket.js";
import { World } from "./socket-world.mjs";

/** A world whose time passes when the test says so, and where REST answers `call`. */
class Played extends World {
  call = { status: 200, state: "live" };

  constructor() {
    super();
    this.socket = new ListenSocket(this, {
      opened: () => this.heard.push("opened"),
      message: (data) => this.heard.push(data),
      broken: (words) => this.heard.push(words),
      over: (words) => this.heard.push(`over: ${words}`),
    });
    this.socket.open();
  }

  async look() {
    return this.call;
  }

  /** The newest socket closes; answers when it is known what that means. */
  async close(code = 1006) {
    this.newest.onclose({ code });
    await new Promise((done) => setImmediate(done));
  }
}

test("what comes is heard, and nothing of a socket that was given up", () => {
  const world = new Played();
  world.newest.onopen();
  world.newest.onmessage({ data: "audio" });
  const first = world.newest;
  world.socket.drop();
  first.onmessage({ data: "late" });
  assert.deepEqual(world.heard.slice(0, 2), ["opened", "audio"]);
  assert.ok(first.isClosed);
  assert.ok(!world.heard.includes("late"));
});

test("after a break it says so, tries again after a pause, and goes on", async () => {
  const world = new Played();
  world.newest.onopen();
  await world.close(1006);
  assert.equal(world.heard.at(-1), BROKE);
  world.pass(249);
  assert.equal(world.sockets.length, 1);
  world.pass(1);
  assert.equal(world.sockets.length, 2);
  world.newest.onopen();
  world.newest.onmessage({ data: "audio" });
  assert.deepEqual(world.heard.slice(-2), ["opened", "audio"]);
});

test("pauses grow up to a bound, and after many attempts it is given up", async () => {
  const world = new Played();
  world.call = { status: 0, state: null };
  world.newest.onopen();
  await world.close();
  const waits = [];
  while (world.timers.size > 0) {
    const [{ at }] = world.timers.values();
    waits.push(at - world.now);
    world.pass(at - world.now);
    await world.close();
  }
  assert.deepEqual(waits.slice(0, 6), [250, 500, 1000, 2000, 4000, 5000]);
  assert.deepEqual([waits.length, Math.max(...waits)], [MAX_ATTEMPTS, 5000]);
  assert.equal(world.heard.at(-1), `over: ${GIVEN_UP}`);
});

test("pauses begin anew once something was heard", async () => {
  const world = new Played();
  for (let count = 0; count < 3; count += 1) {
    world.newest.onopen();
    world.newest.onmessage({ data: "audio" });
    await world.close();
    world.pass(250);
  }
  assert.equal(world.sockets.length, 4);
});

test("an end that says why is an end", async () => {
  for (const code of [4401, 4403, 4410, 4503]) {
    const world = new Played();
    world.newest.onopen();
    await world.close(code);
    assert.equal(world.heard.at(-1), `over: ${wordsOfEnd(code)}`);
    assert.equal(world.timers.size, 0);
    world.socket.hurry();
    assert.equal(world.sockets.length, 1, "not even when the network comes back");
  }
});

test("whoever was too slow is told so and tries again", async () => {
  const world = new Played();
  world.newest.onopen();
  await world.close(4408);
  assert.equal(world.heard.at(-1), SLOW);
  assert.equal(world.timers.size, 1);
});

test("why it was refused is asked of REST", async () => {
  const world = new Played();
  world.call = { status: 200, state: "ended" };
  await world.close();
  assert.deepEqual(world.heard, [`over: ${wordsOfEnd(4410)}`]);
});

test("a call that ended while the connection was lost is over", async () => {
  const world = new Played();
  world.newest.onopen();
  await world.close();
  world.pass(250);
  world.call = { status: 404, state: null };
  await world.close();
  assert.equal(world.heard.at(-1), `over: ${wordsOfEnd(4410)}`);
});

test("a refusal means what REST says of the call", () => {
  const live = { status: 200, state: "live" };
  assert.equal(codeOfRefusal({ status: 401, state: null }, true), 4401);
  assert.equal(codeOfRefusal({ status: 403, state: null }, true), 4403);
  assert.equal(codeOfRefusal(live, false), 4503, "it is live: no place, or no ledger");
  assert.equal(codeOfRefusal(live, true), null, "the lost socket may still have its place");
  for (const status of [0, 429, 503]) assert.equal(codeOfRefusal({ status, state: null }, false), null);
});

test("an attempt that hangs is given up", async () => {
  const world = new Played();
  world.call = { status: 0, state: null };
  const hanging = world.newest;
  world.pass(OPEN_WITHIN_MS);
  await new Promise((done) => setImmediate(done));
  assert.ok(hanging.isClosed);
  assert.equal(world.heard.at(-1), BROKE);
});

test("a connection that has gone silent is given up, and tried again", async () => {
  const world = new Played();
  world.newest.onopen();
  world.pass(SILENT_AFTER_MS - 1);
  world.newest.onmessage({ data: "heartbeat" });
  world.pass(SILENT_AFTER_MS - 1);
  assert.equal(world.heard.at(-1), "heartbeat");
  const silent = world.newest;
  world.pass(1);
  await new Promise((done) => setImmediate(done));
  assert.ok(silent.isClosed);
  assert.equal(world.heard.at(-1), BROKE);
  world.pass(250);
  assert.equal(world.sockets.length, 2);
});

test("when the network comes back it does not wait", async () => {
  const world = new Played();
  world.newest.onopen();
  await world.close();
  world.socket.hurry();
  assert.equal(world.sockets.length, 2);
});

test("whoever has stopped hears nothing more, whatever was under way", async () => {
  const world = new Played();
  const closing = world.close();
  world.socket.close();
  await closing;
  assert.deepEqual([world.heard, world.timers.size], [[], 0]);
});
