import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  Mixer,
  MAX_AHEAD_SECONDS,
  RESERVE_SECONDS,
} from "../../calls/static/calls/js/listen/mixer.js";
import { readPart } from "../../calls/static/calls/js/listen/part.js";
import { Voices } from "../../calls/static/calls/js/listen/voices.js";

const START = 1_664_824_572;

function part(id, at, samples, rate = 16_000) {
  return { id, at: START + at, rate, age: 0.1, samples: Float32Array.from(samples) };
}

function level(value, count) {
  return new Array(count).fill(value);
}

function played(mixer, seconds, rate = 16_000) {
  const output = new Float32Array(Math.round(seconds * rate));
  mixer.read(output);
  return output;
}

test("a part is parsed as the server writes it", () => {
  const { hex, id, rate, at, age, samples } = JSON.parse(
    readFileSync(new URL("part.json", import.meta.url)),
  );
  const read = readPart(Uint8Array.from(Buffer.from(hex, "hex")).buffer);
  assert.deepEqual({ ...read, samples: [...read.samples] }, { id, rate, at, age, samples });
});

test("an invalid part is ignored", () => {
  assert.equal(readPart(new ArrayBuffer(31)), null);
  assert.equal(readPart(new ArrayBuffer(64)), null);
});

test("audio is played after the reserve, without losing a sample", () => {
  const mixer = new Mixer(16_000);
  const samples = Array.from({ length: 1600 }, (_, place) => Math.sin(place / 5));
  mixer.put(part("a", 0, samples.slice(0, 800)));
  mixer.put(part("a", 0.05, samples.slice(800)));
  assert.ok(played(mixer, RESERVE_SECONDS - 0.001).every((sample) => sample === 0));
  const output = played(mixer, 0.101);
  for (const place of [0, 100, 799, 800, 1500]) {
    assert.ok(Math.abs(output[place + 16] - samples[place]) < 0.01, `sample ${place}`);
  }
});

test("voices are mixed by timestamp, in any order of arrival", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.25, 1600)));
  mixer.put(part("b", 0.05, level(0.5, 800)));
  played(mixer, RESERVE_SECONDS);
  const output = played(mixer, 0.1);
  assert.ok(Math.abs(output[400] - 0.25) < 1e-6);
  assert.ok(Math.abs(output[1200] - 0.75) < 1e-6);
});

test("a muted voice is not in the mix, the other is", () => {
  const mixer = new Mixer(16_000);
  mixer.setGain("a", 0);
  mixer.put(part("a", 0, level(0.25, 1600)));
  mixer.put(part("b", 0, level(0.5, 1600)));
  played(mixer, RESERVE_SECONDS);
  assert.ok(Math.abs(played(mixer, 0.05)[400] - 0.5) < 1e-6);
});

test("a tone keeps its frequency at the rate of the sound card", () => {
  const mixer = new Mixer(48_000);
  mixer.put(
    part(
      "a",
      0,
      Array.from({ length: 16_000 }, (_, place) => Math.sin((2 * Math.PI * 440 * place) / 16_000)),
    ),
  );
  played(mixer, RESERVE_SECONDS, 48_000);
  const output = played(mixer, 0.9, 48_000);
  let rising = 0;
  for (let place = 1; place < output.length; place += 1)
    rising += output[place - 1] < 0 && output[place] >= 0 ? 1 : 0;
  assert.ok(Math.abs(rising - 396) <= 1, `${rising} periods`);
});

test("jitter within the reserve causes no gap", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.5, 1600)));
  played(mixer, RESERVE_SECONDS + 0.08); // the next part is 230 ms late at most
  mixer.put(part("a", 0.1, level(0.5, 1600)));
  assert.ok(played(mixer, 0.1).every((sample) => Math.abs(sample - 0.5) < 1e-6));
});

test("a longer stall builds the reserve again", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.5, 1600)));
  played(mixer, 2);
  mixer.put(part("a", 0.1, level(0.5, 1600)));
  assert.equal(played(mixer, RESERVE_SECONDS - 0.01)[0], 0);
  assert.ok(Math.abs(played(mixer, 0.05)[400] - 0.5) < 1e-6);
});

test("a burst is cut to its newest part: the delay does not grow", () => {
  const mixer = new Mixer(16_000);
  for (let count = 0; count < 50; count += 1) mixer.put(part("a", count / 10, level(0.5, 1600)));
  assert.ok(mixer.delay <= MAX_AHEAD_SECONDS + 0.11, `${mixer.delay}`);
});

test("audio repeated by a second socket of the call is played once", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.5, 1600)));
  mixer.put(part("a", 0, level(0.5, 1600)));
  played(mixer, RESERVE_SECONDS);
  assert.ok(Math.abs(played(mixer, 0.05)[400] - 0.5) < 1e-6);
});

test("solo overrides mute, and mute is restored after it", () => {
  const voices = new Voices();
  voices.toggleMute("a");
  voices.toggleSolo("a");
  assert.deepEqual([voices.gainOf("a"), voices.gainOf("b")], [1, 0]);
  voices.toggleSolo("a");
  assert.deepEqual([voices.gainOf("a"), voices.gainOf("b")], [0, 1]);
});
