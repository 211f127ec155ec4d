// One <audio> with a channel for each lane: the browser fetches what is played, all lanes keep step, and speed keeps the
// pitch. Behind it each channel goes through a gain of its own, and all of them into one.

import { gainsOf } from "./gains.js";

/** Chromium gives twelve one by one (tried). More are played as the server's mix: mute does nothing then, and solo asks for one track. */
export const MAX_CHANNELS = 12;
const HAIR_SECONDS = 0.25;

export class Player {
  #address;
  #told;
  #audio = new Audio();
  #context = null;
  #splitter = null;
  #output = null;
  #gains = [];
  #lanes = [];
  #source = "";
  #end = 0;
  #range = null;

  /** `told("state")` when it starts, stops or waits; `told("failed", text)` when there is nothing to hear. */
  constructor(address, told) {
    this.#address = address;
    this.#told = told;
    this.#audio.preload = "none";
    this.#audio.preservesPitch = true;
    for (const name of ["play", "pause", "ended", "waiting", "playing", "seeking", "seeked"]) {
      this.#audio.addEventListener(name, () => this.#told("state"));
    }
    this.#audio.addEventListener("error", () => this.#told("failed", this.#audio.error?.message || "it cannot be fetched"));
  }

  get isPlaying() {
    return !this.#audio.paused && !this.#audio.ended;
  }

  get isWaiting() {
    return this.isPlaying && this.#audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  get at() {
    return this.#audio.currentTime;
  }

  get speed() {
    return this.#audio.playbackRate;
  }

  set speed(factor) {
    this.#audio.defaultPlaybackRate = factor;
    this.#audio.playbackRate = factor;
  }

  set volume(share) {
    this.#audio.volume = share;
  }

  /** The node that everything heard goes through; null before the first play. */
  get output() {
    return this.#output;
  }

  /** `lanes`, in the order of the call: {participant, hasAudio, isMute, isSolo}; `end`: seconds there are of it. */
  suit(lanes, end) {
    this.#lanes = lanes;
    // A call that grows is asked for up to what there is now: while that plays, its file must stay the same.
    if (!this.isPlaying || !this.#source) this.#end = end;
    this.#change();
    this.#apply();
  }

  async play() {
    this.#change();
    this.#wire();
    try {
      await this.#context.resume();
      await this.#audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this.#told("failed", error.message);
    }
  }

  pause() {
    this.#audio.pause();
  }

  seek(seconds) {
    this.#audio.currentTime = seconds;
  }

  /** Plays only {start, end}, again and again; null: on to the end. */
  loop(range) {
    this.#range = range;
  }

  /** Called with each picture while it plays. */
  step() {
    const range = this.#range;
    if (range && (this.at >= range.end || this.at < range.start - HAIR_SECONDS)) this.seek(range.start);
  }

  #heard() {
    return this.#lanes.filter((lane) => lane.hasAudio);
  }

  #change() {
    const source = `${this.#address}?${new URLSearchParams({ ...this.#layout(), end: this.#end.toFixed(6) })}`;
    if (!this.#heard().length || source === this.#source) return;
    const [at, isPlaying, speed] = [this.at, this.isPlaying, this.speed];
    this.#source = source;
    this.#audio.src = source;
    this.#audio.currentTime = at;
    this.speed = speed;
    if (isPlaying) void this.play();
  }

  #layout() {
    const heard = this.#heard();
    if (heard.length <= MAX_CHANNELS) return { layout: "tracks" };
    const alone = heard.filter((lane) => lane.isSolo);
    return alone.length === 1 ? { participant: alone[0].participant } : { layout: "mix" };
  }

  /** Once somebody has asked for sound: before that a browser gives none. */
  #wire() {
    const channels = this.#layout().layout === "tracks" ? this.#heard().length : 1;
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#output = this.#context.createGain();
      this.#output.connect(this.#context.destination);
      this.#splitter = this.#context.createChannelSplitter(MAX_CHANNELS);
      this.#context.createMediaElementSource(this.#audio).connect(this.#splitter);
    }
    while (this.#gains.length < channels) {
      const gain = this.#context.createGain();
      this.#splitter.connect(gain, this.#gains.length);
      gain.connect(this.#output);
      this.#gains.push(gain);
    }
    this.#apply();
  }

  #apply() {
    const isApart = this.#layout().layout === "tracks";
    const heard = gainsOf(this.#heard());
    this.#gains.forEach((gain, index) => {
      gain.gain.value = isApart ? (heard[index] ?? 0) : Number(index === 0);
    });
  }
}
