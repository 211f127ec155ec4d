// Mixer: aligns the parts of all participants by timestamp, at the sample rate of the sound card.
// Independent of the page.

// Playback delay. A part that arrives later than this makes the mixer wait longer.
export const RESERVE_SECONDS = 0.25;
// Longest backlog. Beyond it (slow sound card clock, stalled network) the mixer skips to the
// newest.
export const MAX_AHEAD_SECONDS = 0.7;
// Parts whose edges are closer than this are adjacent.
const SAME_SECONDS = 0.0015;

export class Mixer {
  #rate;
  #voices = new Map(); // id -> {parts, end, gain, delay}
  // Seconds of ACS's clock; times are relative to it, for the precision of a double.
  #origin = null;
  #now = null; // time of the next sample to play
  #newest = -Infinity;

  constructor(rate) {
    this.#rate = rate;
  }

  /**
   * Adds a part from the socket. Audio that is already there (from a second socket of the call) is
   * ignored.
   */
  put(part) {
    const voice = this.#voice(part.id);
    this.#origin ??= part.at;
    const at = part.at - this.#origin;
    const end = at + part.samples.length / part.rate;
    if (voice.parts.length > 0 && at < voice.end - SAME_SECONDS) return;
    this.#adjustClock(at, end);
    voice.parts.push({ ...part, at, end });
    voice.end = end;
    voice.delay = part.age + Math.max(0, at - this.#now);
  }

  /** Sets the gain of a participant in the mix, 0 to 1. */
  setGain(id, gain) {
    this.#voice(id).gain = gain;
  }

  /** Fills `output` with the next samples and advances the clock by its length. */
  read(output) {
    output.fill(0);
    if (this.#now === null) return;
    for (const voice of this.#voices.values()) this.#add(voice, output);
    this.#now += output.length / this.#rate;
  }

  /**
   * Longest delay of a participant from the recorder to the mix, in seconds; null before the first
   * part.
   */
  get delay() {
    const delays = [...this.#voices.values()]
      .map((voice) => voice.delay)
      .filter((delay) => delay !== null);
    return delays.length > 0 ? Math.max(...delays) : null;
  }

  #voice(id) {
    if (!this.#voices.has(id))
      this.#voices.set(id, { parts: [], end: -Infinity, gain: 1, delay: null });
    return this.#voices.get(id);
  }

  #adjustClock(at, end) {
    const isNewest = end > this.#newest;
    if (this.#now === null || (isNewest && at < this.#now)) this.#now = at - RESERVE_SECONDS;
    if (isNewest) this.#newest = end;
    if (isNewest && at - this.#now > MAX_AHEAD_SECONDS) this.#now = at - RESERVE_SECONDS;
  }

  #add(voice, output) {
    for (let index = 0; index < output.length; index += 1) {
      const time = this.#now + index / this.#rate;
      while (voice.parts.length > 0 && voice.parts[0].end <= time) voice.parts.shift();
      if (voice.parts.length === 0) return;
      output[index] += voice.gain * sampleAt(voice.parts, time);
    }
  }
}

/** Interpolates between two samples, also across two adjacent parts. */
function sampleAt(parts, time) {
  const [part, next] = parts;
  const position = Math.max(0, (time - part.at) * part.rate);
  if (part.at - time > SAME_SECONDS) return 0;
  const before = Math.min(Math.floor(position), part.samples.length - 1);
  const follows =
    next && next.at - part.end < SAME_SECONDS ? next.samples[0] : part.samples[before];
  const after = before + 1 < part.samples.length ? part.samples[before + 1] : follows;
  return part.samples[before] + (after - part.samples[before]) * Math.min(1, position - before);
}
