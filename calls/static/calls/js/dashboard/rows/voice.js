// What is known of one voice: its meter, whether it speaks, its last minute. PURE: the present moment (milliseconds) is
// an argument. Kept for every voice, also for those whose row is out of sight: only drawing waits for the eye.

import { SILENCE, hear, quiet } from "./ballistics.js";

export const TALKING_DBFS = -45;
export const TALKING_MS = 400; // a syllable's pause does not put the mark out
export const SPEAKING_MS = 3000; // nor a breath the word
export const CLIPPED_DBFS = -0.1;
export const CLIP_MS = 10_000;
export const MINUTE = 60; // seconds of the strip
export const NO_AUDIO = ".";

export class Voice {
  meter = quiet;
  minute = ""; // a character a second, the newest last: as calls/live/channel.py says it
  #talkedAt = -Infinity;
  #clippedAt = -Infinity;
  #loudest = -Infinity; // of this second

  /** A level has come: dBFS, -96 is silence. */
  hear(rms, peak, now) {
    this.meter = hear(this.meter, rms, peak, now);
    if (rms > TALKING_DBFS) this.#talkedAt = now;
    if (peak >= CLIPPED_DBFS) this.#clippedAt = now;
    if (rms > this.#loudest) this.#loudest = rms;
  }

  /** A second is over. */
  turn() {
    this.minute = (this.minute + stepOf(this.#loudest)).slice(-MINUTE);
    this.#loudest = -Infinity;
  }

  /** What the recorder remembers of the time before this page was opened. */
  remember(minute) {
    this.minute = minute.slice(-MINUTE);
  }

  isTalking(now) {
    return now - this.#talkedAt < TALKING_MS;
  }

  hasSpoken(now) {
    return now - this.#talkedAt < SPEAKING_MS;
  }

  isClipped(now) {
    return now - this.#clippedAt < CLIP_MS;
  }

  forgiveClipping() {
    this.#clippedAt = -Infinity;
  }
}

/** The character of a second whose loudest window had this rms; the same as `step_of` in calls/live/channel.py. */
export function stepOf(rms) {
  if (rms < SILENCE) return NO_AUDIO;
  return String(Math.min(9, Math.max(0, Math.floor((rms + 60) / 6))));
}

/** Seconds of a strip in which somebody spoke. */
export function spokenSeconds(minute) {
  return Array.from(minute).filter((step) => step >= "3").length;
}
