// Tones of alarms, made by the browser: no file is loaded.

const VOLUME = 0.18;
const RAMP_SECONDS = 0.012; // without it, each tone begins and ends with a click

export class Sound {
  #context = null;

  /**
   * Whether tones can be heard. After a page has been loaded, browsers stay silent until the first
   * click or key.
   */
  get isReady() {
    return this.#context?.state === "running";
  }

  /** Prepares for tones. Resolves when they can be heard, which may be after a click. */
  async open() {
    this.#context ??= new AudioContext();
    await this.#context.resume();
  }

  /** Plays tones ({at, seconds, hertz}); nothing can be heard before `isReady`. */
  play(tones) {
    if (!this.isReady) return;
    const now = this.#context.currentTime;
    for (const { at, seconds, hertz } of tones) this.#tone(now + at, seconds, hertz);
  }

  #tone(start, seconds, hertz) {
    const gain = new GainNode(this.#context, { gain: 0 });
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(VOLUME, start + RAMP_SECONDS);
    gain.gain.setValueAtTime(VOLUME, start + seconds - RAMP_SECONDS);
    gain.gain.linearRampToValueAtTime(0, start + seconds);
    const tone = new OscillatorNode(this.#context, { frequency: hertz, type: "triangle" });
    tone.connect(gain).connect(this.#context.destination);
    tone.start(start);
    tone.stop(start + seconds);
  }
}
