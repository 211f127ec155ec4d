import assert from "node:assert/strict";
import test from "node:test";

import { OneSound } from "../../calls/static/calls/js/one-sound.js";

/** Tabs that hear each other, as a BroadcastChannel does: never themselves. */
function tabs(count) {
  const channels = Array.from({ length: count }, () => ({
    listeners: [],
    addEventListener(_type, listener) {
      this.listeners.push(listener);
    },
    postMessage() {
      for (const other of channels)
        if (other !== this) for (const listener of other.listeners) listener();
    },
  }));
  return channels.map((channel) => new OneSound(channel));
}

test("a player that begins stops all others of its page and of other tabs, not itself", () => {
  const [here, there] = tabs(2);
  const stopped = [];
  here.join("listening", () => stopped.push("listening"));
  here.join("player", () => stopped.push("player"));
  there.join("other", () => stopped.push("other"));
  here.begin("player");
  assert.deepEqual(stopped, ["listening", "other"]);
  stopped.length = 0;
  there.begin("other");
  assert.deepEqual(stopped, ["listening", "player"]);
  stopped.length = 0;
  here.leave("listening");
  there.begin("other");
  assert.deepEqual(stopped, ["player"]);
});

test("without channels a page is alone", () => {
  const alone = new OneSound(null);
  let stops = 0;
  alone.join("one", () => (stops += 1));
  alone.begin("two");
  assert.equal(stops, 1);
});
