// Player: one <audio> with a channel per lane, so that the lanes stay in sync and speed does not
// change the pitch. Each channel passes through a gain node of its own into one output.

import { gainsOf } from "./gains.js";
import { sound } from "../one-sound.js";

// Chromium splits up to twelve (measured). More are played as the server's mix: then mute has no
// effect and solo fetches one track.
export const MAX_CHANNELS = 12;
const LOOP_TOLERANCE_SECONDS = 0.25;

export class Player {
  #address;
  #notify;
  #audio = new Audio();
  #context = null;
  #splitter = null;
  #output = null;
  #gains = [];
  #lanes = [];
  #source = "";
  #end = 0;
  #range = null;

  /**
   * @param notify called with "state" when it starts, stops or waits, and with ("failed", text) on
   * errors
   */
  constructor(address, notify) {
    this.#address = address;
    this.#notify = notify;
    this.#audio.preload = "none";
    this.#audio.preservesPitch = true;
    for (const name of ["play", "pause", "ended", "waiting", "playing", "seeking", "seeked"]) {
      this.#audio.addEventListener(name, () => this.#notify("state"));
    }
    sound.join(this, () => this.pause());
    this.#audio.addEventListener("error", () =>
      this.#notify("failed", this.#audio.error?.message || "could not be loaded"),
    );
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

  /** The output node of all lanes; null before the first play. */
  get output() {
    return this.#output;
  }

  /**
   * Sets `lanes`, in the order of the call: {participant, hasAudio, isMute, isSolo}; `end`: its
   * seconds so far.
   */
  update(lanes, end) {
    this.#lanes = lanes;
    // A live call is requested up to its present length: its file must not change while it plays.
    if (!this.isPlaying || !this.#source) this.#end = end;
    this.#setSource();
    this.#applyGains();
  }

  async play() {
    sound.begin(this);
    this.#setSource();
    this.#connect();
    try {
      await this.#context.resume();
      await this.#audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this.#notify("failed", error.message);
    }
  }

  pause() {
    this.#audio.pause();
  }

  seek(seconds) {
    this.#audio.currentTime = seconds;
  }

  /** Loops {start, end}; null: plays on to the end. */
  loop(range) {
    this.#range = range;
  }

  /** To be called in every animation frame while playing. */
  step() {
    const range = this.#range;
    if (range && (this.at >= range.end || this.at < range.start - LOOP_TOLERANCE_SECONDS))
      this.seek(range.start);
  }

  #audibleLanes() {
    return this.#lanes.filter((lane) => lane.hasAudio);
  }

  #setSource() {
    const query = new URLSearchParams({ ...this.#layout(), end: this.#end.toFixed(6) });
    const source = `${this.#address}?${query}`;
    if (!this.#audibleLanes().length || source === this.#source) return;
    const [at, isPlaying, speed] = [this.at, this.isPlaying, this.speed];
    this.#source = source;
    this.#audio.src = source;
    this.#audio.currentTime = at;
    this.speed = speed;
    if (isPlaying) void this.play();
  }

  #layout() {
    const lanes = this.#audibleLanes();
    if (lanes.length <= MAX_CHANNELS) return { layout: "tracks" };
    const solo = lanes.filter((lane) => lane.isSolo);
    return solo.length === 1 ? { participant: solo[0].participant } : { layout: "mix" };
  }

  /** Builds the audio graph. Only after a user event: before it the browser plays no sound. */
  #connect() {
    const channels = this.#layout().layout === "tracks" ? this.#audibleLanes().length : 1;
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
    this.#applyGains();
  }

  #applyGains() {
    const isSplit = this.#layout().layout === "tracks";
    const gains = gainsOf(this.#audibleLanes());
    this.#gains.forEach((gain, index) => {
      gain.gain.value = isSplit ? (gains[index] ?? 0) : Number(index === 0);
    });
  }
}
