// Parts of many voices, aligned by their timestamps, as one signal at the rate of the sound card. Knows no page.

export const RESERVE_SECONDS = 0.25;
/** What comes later than this after its time is spoken, is not heard at its place: the mixer waits longer then. */
export const MAX_AHEAD_SECONDS = 0.7;
/** More than this waits: the clock of the card is slower, or the network had stalled. The newest wins. */
const SAME_SECONDS = 0.0015;
/** Edges of parts that are nearer than this to each other are one place. */

export class Mixer {
  #rate;
  #voices = new Map(); // id -> {parts, end, gain, delay}
  #origin = null; // seconds of ACS's clock; times count from here, or a double would not hold a sample's place
  #now = null; // what is played next
  #newest = -Infinity;

  constructor(rate) {
    this.#rate = rate;
  }

  /** A part from the socket. What was heard before (a second socket of the call) is passed over. */
  put(part) {
    const voice = this.#voice(part.id);
    this.#origin ??= part.at;
    const at = part.at - this.#origin;
    const end = at + part.samples.length / part.rate;
    if (voice.parts.length > 0 && at < voice.end - SAME_SECONDS) return;
    this.#pace(at, end);
    voice.parts.push({ ...part, at, end });
    voice.end = end;
    voice.delay = part.age + Math.max(0, at - this.#now);
  }

  /** How loud a voice is in the mix, 0 to 1. */
  setGain(id, gain) {
    this.#voice(id).gain = gain;
  }

  /** Fills `output` with what is heard next, and the clock goes on by its length. */
  read(output) {
    output.fill(0);
    if (this.#now === null) return;
    for (const voice of this.#voices.values()) this.#add(voice, output);
    this.#now += output.length / this.#rate;
  }

  /** Seconds from the recorder to the mix, of the voice that waits longest; null before anything came. */
  get delay() {
    const delays = [...this.#voices.values()].map((voice) => voice.delay).filter((delay) => delay !== null);
    return delays.length > 0 ? Math.max(...delays) : null;
  }

  #voice(id) {
    if (!this.#voices.has(id)) this.#voices.set(id, { parts: [], end: -Infinity, gain: 1, delay: null });
    return this.#voices.get(id);
  }

  #pace(at, end) {
    const isNewest = end > this.#newest;
    if (this.#now === null || (isNewest && at < this.#now)) this.#now = at - RESERVE_SECONDS;
    if (isNewest) this.#newest = end;
    if (isNewest && at - this.#now > MAX_AHEAD_SECONDS) this.#now = at - RESERVE_SECONDS;
  }

  #add(voice, output) {
    for (let place = 0; place < output.length; place += 1) {
      const time = this.#now + place / this.#rate;
      while (voice.parts.length > 0 && voice.parts[0].end <= time) voice.parts.shift();
      if (voice.parts.length === 0) return;
      output[place] += voice.gain * sampleAt(voice.parts, time);
    }
  }
}

/** Between two samples, also where they are the last of one part and the first of the next. */
function sampleAt(parts, time) {
  const [part, next] = parts;
  const place = Math.max(0, (time - part.at) * part.rate);
  if (part.at - time > SAME_SECONDS) return 0;
  const before = Math.min(Math.floor(place), part.samples.length - 1);
  const follows = next && next.at - part.end < SAME_SECONDS ? next.samples[0] : part.samples[before];
  const after = before + 1 < part.samples.length ? part.samples[before + 1] : follows;
  return part.samples[before] + (after - part.samples[before]) * Math.min(1, place - before);
}
