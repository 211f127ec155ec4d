import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { CLIP_MS, SPEAKING_MS, TALKING_MS, Voice, spokenSeconds, stepOf } from "../../calls/static/calls/js/dashboard/rows/voice.js";

test("a voice talks while it is loud and a syllable longer", () => {
  const voice = new Voice();
  voice.hear(-30, -20, 1000);
  voice.hear(-90, -80, 1100);
  assert.ok(voice.isTalking(1000 + TALKING_MS - 1));
  assert.ok(!voice.isTalking(1000 + TALKING_MS));
  assert.ok(voice.hasSpoken(1000 + SPEAKING_MS - 1));
  assert.ok(!voice.hasSpoken(1000 + SPEAKING_MS));
});

test("noise below -45 dBFS is no talking", () => {
  const voice = new Voice();
  voice.hear(-50, -40, 0);
  assert.ok(!voice.isTalking(0));
});

test("the clip mark stays for some seconds, or until it is forgiven", () => {
  const voice = new Voice();
  voice.hear(-3, 0, 0);
  voice.hear(-30, -20, 100);
  assert.ok(voice.isClipped(CLIP_MS - 1));
  assert.ok(!voice.isClipped(CLIP_MS));
  voice.forgiveClipping();
  assert.ok(!voice.isClipped(1));
});

test("a second has its loudest step, silence is told from nothing coming, and a minute is all that is kept", () => {
  const voice = new Voice();
  voice.hear(-30, -20, 0);
  voice.hear(-96, -96, 100);
  voice.turn();
  voice.hear(-96, -96, 1000);
  voice.turn();
  voice.turn();
  assert.equal(voice.minute, "50.");
  for (let count = 0; count < 100; count += 1) voice.turn();
  assert.equal(voice.minute, ".".repeat(60));
});

test("what the recorder remembers takes the place of what was seen since", () => {
  const voice = new Voice();
  voice.turn();
  voice.remember("0099");
  voice.hear(-1, -1, 0);
  voice.turn();
  assert.equal(voice.minute, "00999");
  assert.equal(spokenSeconds(voice.minute), 3);
});

test("steps are those of the recorder", () => {
  const cases = JSON.parse(readFileSync(new URL("./steps.json", import.meta.url), "utf8"));
  for (const [rms, step] of cases) assert.equal(stepOf(rms), step, String(rms));
});
