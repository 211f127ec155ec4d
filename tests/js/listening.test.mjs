import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Mixer, MAX_AHEAD_SECONDS, RESERVE_SECONDS } from "../../calls/static/calls/js/listen/mixer.js";
import { readPart } from "../../calls/static/calls/js/listen/part.js";
import { Voices } from "../../calls/static/calls/js/listen/voices.js";

const START = 1_664_824_572;

function part(id, at, samples, rate = 16_000) {
  return { id, at: START + at, rate, age: 0.1, samples: Float32Array.from(samples) };
}

function level(value, count) {
  return new Array(count).fill(value);
}

function heard(mixer, seconds, rate = 16_000) {
  const output = new Float32Array(Math.round(seconds * rate));
  mixer.read(output);
  return output;
}

test("a part is read as the server writes it", () => {
  const { hex, id, rate, at, age, samples } = JSON.parse(readFileSync(new URL("part.json", import.meta.url)));
  const read = readPart(Uint8Array.from(Buffer.from(hex, "hex")).buffer);
  assert.deepEqual({ ...read, samples: [...read.samples] }, { id, rate, at, age, samples });
});

test("what is no part is passed over", () => {
  assert.equal(readPart(new ArrayBuffer(31)), null);
  assert.equal(readPart(new ArrayBuffer(64)), null);
});

test("audio is heard after the reserve, and every sample of it", () => {
  const mixer = new Mixer(16_000);
  const samples = Array.from({ length: 1600 }, (_, place) => Math.sin(place / 5));
  mixer.put(part("a", 0, samples.slice(0, 800)));
  mixer.put(part("a", 0.05, samples.slice(800)));
  assert.ok(heard(mixer, RESERVE_SECONDS - 0.001).every((sample) => sample === 0));
  const output = heard(mixer, 0.101);
  for (const place of [0, 100, 799, 800, 1500]) {
    assert.ok(Math.abs(output[place + 16] - samples[place]) < 0.01, `sample ${place}`);
  }
});

test("voices are mixed where their timestamps say, whatever order they come in", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.25, 1600)));
  mixer.put(part("b", 0.05, level(0.5, 800)));
  heard(mixer, RESERVE_SECONDS);
  const output = heard(mixer, 0.1);
  assert.ok(Math.abs(output[400] - 0.25) < 1e-6);
  assert.ok(Math.abs(output[1200] - 0.75) < 1e-6);
});

test("a voice that is muted is not in the mix, the other one is", () => {
  const mixer = new Mixer(16_000);
  mixer.setGain("a", 0);
  mixer.put(part("a", 0, level(0.25, 1600)));
  mixer.put(part("b", 0, level(0.5, 1600)));
  heard(mixer, RESERVE_SECONDS);
  assert.ok(Math.abs(heard(mixer, 0.05)[400] - 0.5) < 1e-6);
});

test("a tone keeps its frequency at the rate of the card", () => {
  const mixer = new Mixer(48_000);
  mixer.put(part("a", 0, Array.from({ length: 16_000 }, (_, place) => Math.sin((2 * Math.PI * 440 * place) / 16_000))));
  heard(mixer, RESERVE_SECONDS, 48_000);
  const output = heard(mixer, 0.9, 48_000);
  let rising = 0;
  for (let place = 1; place < output.length; place += 1) rising += output[place - 1] < 0 && output[place] >= 0 ? 1 : 0;
  assert.ok(Math.abs(rising - 396) <= 1, `${rising} periods`);
});

test("jitter within the reserve leaves no hole", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.5, 1600)));
  heard(mixer, RESERVE_SECONDS + 0.08); // the next part comes 230 ms after it was due at the latest
  mixer.put(part("a", 0.1, level(0.5, 1600)));
  assert.ok(heard(mixer, 0.1).every((sample) => Math.abs(sample - 0.5) < 1e-6));
});

test("after a stall that was longer the reserve is built again", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.5, 1600)));
  heard(mixer, 2);
  mixer.put(part("a", 0.1, level(0.5, 1600)));
  assert.equal(heard(mixer, RESERVE_SECONDS - 0.01)[0], 0);
  assert.ok(Math.abs(heard(mixer, 0.05)[400] - 0.5) < 1e-6);
});

test("a burst is cut to its newest part: the delay does not grow", () => {
  const mixer = new Mixer(16_000);
  for (let count = 0; count < 50; count += 1) mixer.put(part("a", count / 10, level(0.5, 1600)));
  assert.ok(mixer.delay <= MAX_AHEAD_SECONDS + 0.11, `${mixer.delay}`);
});

test("what came before, from a second socket of the call, is heard once", () => {
  const mixer = new Mixer(16_000);
  mixer.put(part("a", 0, level(0.5, 1600)));
  mixer.put(part("a", 0, level(0.5, 1600)));
  heard(mixer, RESERVE_SECONDS);
  assert.ok(Math.abs(heard(mixer, 0.05)[400] - 0.5) < 1e-6);
});

test("one alone is heard whatever is muted, and then what was before", () => {
  const voices = new Voices();
  voices.toggleMute("a");
  voices.toggleOnly("a");
  assert.deepEqual([voices.gainOf("a"), voices.gainOf("b")], [1, 0]);
  voices.toggleOnly("a");
  assert.deepEqual([voices.gainOf("a"), voices.gainOf("b")], [0, 1]);
});
