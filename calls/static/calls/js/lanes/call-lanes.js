// <call-lanes>: the tracks of a call on one axis, and their player. What it shows comes from the call's timeline; what can
// be wrong without a page is in the modules beside this one.

import { localText, utcText } from "../local-time.js";
import { fitted, offset, panned, pixelsAt, secondsAt, showing, zoomed } from "./axis.js";
import { colours, drawOverview, drawRuler, sayOf } from "./drawing.js";
import { gainsOf, speedBeside } from "./gains.js";
import { commandOf } from "./keys.js";
import { Lane } from "./lane.js";
import { Marks } from "./mark-list.js";
import { Peaks } from "./peaks.js";
import { downloadOf, fragmentOf, nextPlace, placeIn, rangeOf } from "./place.js";
import { Player } from "./player.js";

const REST_MS = 120; // a view that has not moved for so long is looked at closely
const GROW_MS = 3_000;
const DRAG_PIXELS = 4; // less is a click

class CallLanes extends HTMLElement {
  #timeline = null;
  #view = fitted(0);
  #lanes = [];
  #range = null;
  #at = 0; // where it will play from
  #follows = false;
  #isDrawing = false;
  #resting = null;
  #wait = null;

  connectedCallback() {
    this.mayHear = this.dataset.mayHear === "true";
    this.player = new Player(this.dataset.audio, (what, text) => this.#hear(what, text));
    this.peaks = new Peaks(this.dataset.peaks, {
      changed: () => this.#draw(),
      failed: (error) => this.#say(`The waveform could not be fetched: ${error.message}.`, true),
    });
    this.marks = new Marks(this.part("marks"), this.part("mark-template"), (mark) => this.go(mark.at));
    this.#follows = this.dataset.live === "true";
    this.#listen();
    void this.#load();
  }

  disconnectedCallback() {
    clearTimeout(this.#wait);
    this.player.pause();
  }

  part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  get duration() {
    return this.#timeline?.duration_seconds ?? 0;
  }

  /** Shows a place, and plays from there. */
  go(seconds) {
    this.#at = Math.min(Math.max(seconds, 0), this.duration);
    this.player.seek(this.#at);
    this.#look(showing(this.#view, this.#at, this.duration));
  }

  // --- what the server says ---

  async #load() {
    clearTimeout(this.#wait);
    try {
      const answer = await fetch(this.dataset.timeline);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      this.#show(await answer.json());
      this.dataset.state = "shown";
    } catch (error) {
      this.dataset.state = this.#timeline ? "shown" : "failed";
      this.#say(`This call could not be fetched: ${error.message}. `, true);
    }
    if (this.#timeline?.state === "live" || !this.#timeline) this.#wait = setTimeout(() => this.#grow(), GROW_MS);
  }

  #grow() {
    if (document.hidden) this.#wait = setTimeout(() => this.#grow(), GROW_MS);
    else void this.#load();
  }

  #show(timeline) {
    const isFirst = this.#timeline === null;
    const isWhole = this.#view.start === 0 && this.#view.end >= this.duration;
    const grown = timeline.duration_seconds - this.duration;
    this.#timeline = timeline;
    this.toggleAttribute("data-empty", timeline.tracks.every((track) => !track.segments));
    this.#showLanes();
    this.marks.show(timeline.marks);
    if (isFirst && timeline.has_more_marks) this.#say(`Marks beyond the first ${timeline.marks.length} are not shown.`);
    this.player.suit(this.#lanes, this.duration);
    this.part("length").textContent = offset(this.duration, 1);
    this.part("follow").hidden = timeline.state !== "live";
    if (timeline.state !== "live") this.#follows = false;
    for (const lane of this.#lanes) if (lane.hasAudio) this.peaks.overview(lane.participant, this.duration);
    if (isFirst || isWhole) this.#look(fitted(this.duration));
    else if (this.#follows && grown > 0) this.#look(panned(this.#view, grown, this.duration));
    else this.#draw();
    if (isFirst) this.#followAddress();
  }

  #showLanes() {
    const before = new Map(this.#lanes.map((lane) => [lane.participant, lane]));
    this.#lanes = this.#timeline.tracks.map((track) => {
      const lane = before.get(track.participant) ?? new Lane(this.part("lane-template"), track, () => this.#mixed());
      lane.show(track);
      return lane;
    });
    const column = this.part("lanes");
    const elements = this.#lanes.map((lane) => lane.element);
    if (elements.some((element, index) => column.children[index] !== element)) column.replaceChildren(...elements);
    for (const lane of this.#lanes) this.sizes.observe(lane.canvas);
  }

  // --- what the operator does ---

  #listen() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) this.#do(button.dataset.do, Number(button.dataset.value));
    });
    this.addEventListener("keydown", (event) => this.#press(event));
    this.part("speed").addEventListener("change", (event) => this.#setSpeed(Number(event.target.value)));
    this.part("volume").addEventListener("input", (event) => (this.player.volume = Number(event.target.value)));
    this.part("format").addEventListener("change", () => this.#showRange());
    const stage = this.part("stage");
    stage.addEventListener("pointerdown", (event) => this.#drag(event));
    stage.addEventListener("pointermove", (event) => this.#hover(event));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.part("overview").addEventListener("pointerdown", (event) => this.#slide(event));
    window.addEventListener("hashchange", () => this.#followAddress());
    window.addEventListener("online", () => void this.#load());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#draw());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.sizes = new ResizeObserver(() => this.#draw());
    this.sizes.observe(this.part("ruler"));
  }

  #press(event) {
    if (event.target.closest("input, select, textarea")) return;
    if (event.target.closest("button") && (event.key === " " || event.key === "Enter")) return;
    const command = commandOf(event);
    if (!command) return;
    event.preventDefault();
    this.#do(...command);
  }

  #do(what, value) {
    const middle = (this.#view.start + this.#view.end) / 2;
    const at = this.player.isPlaying ? this.player.at : this.#at;
    const center = at >= this.#view.start && at <= this.#view.end ? at : middle;
    const commands = {
      play: () => this.#playOrPause(),
      step: () => this.go(at + value),
      go: () => this.go(Math.min(value, this.duration)),
      mark: () => this.#goToMark(at, value),
      zoom: () => this.#look(zoomed(this.#view, value, center, this.duration)),
      fit: () => this.#look(fitted(this.duration)),
      speed: () => this.#setSpeed(speedBeside(this.player.speed, value)),
      mute: () => this.#lanes[value]?.press("mute"),
      solo: () => this.#lanes[value]?.press("solo"),
      clear: () => this.#select(null),
      help: () => this.part("help").toggleAttribute("hidden"),
      hear: () => this.#hearRange(),
      follow: () => this.#follow(),
      link: () => void this.#copyLink(at),
      retry: () => void this.#load(),
    };
    commands[what]?.();
  }

  #playOrPause() {
    if (!this.mayHear || this.hasAttribute("data-empty")) return;
    if (this.player.isPlaying) return this.player.pause();
    this.part("news").textContent = "";
    if (this.#at >= this.duration - 0.05) this.go(0);
    void this.player.play();
    requestAnimationFrame(() => this.#move());
  }

  #hearRange() {
    if (!this.#range || !this.mayHear) return;
    this.player.loop(this.#range);
    this.go(this.#range.start);
    if (!this.player.isPlaying) this.#playOrPause();
  }

  #mixed() {
    this.player.suit(this.#lanes, this.duration);
    this.#draw();
  }

  #setSpeed(speed) {
    this.player.speed = speed;
    this.part("speed").value = String(speed);
  }

  #follow() {
    this.#follows = !this.#follows;
    this.part("follow").setAttribute("aria-pressed", String(this.#follows));
    if (this.#follows) this.#look(panned(this.#view, this.duration - this.#view.end, this.duration));
  }

  #goToMark(at, step) {
    const gaps = this.#timeline.tracks.flatMap((track) => track.gaps.map((gap) => gap.start));
    const place = nextPlace([...this.#timeline.marks.map((mark) => mark.at), ...gaps], at, step);
    if (place !== null) this.go(place);
  }

  async #copyLink(at) {
    const fragment = this.#range ? fragmentOf(this.#range.start, this.#range.end) : fragmentOf(at);
    history.replaceState(null, "", fragment);
    try {
      await navigator.clipboard.writeText(window.location.href);
      this.#say(`Link to ${this.#range ? "this range" : offset(at, 1)} copied.`);
    } catch {
      this.#say("The link is in the address bar: the browser does not let pages copy here.");
    }
  }

  #followAddress() {
    const place = placeIn(window.location.hash);
    if (!place || !this.#timeline) return;
    this.#select(place.end === null ? null : rangeOf(place.start, place.end, this.duration));
    this.go(place.start);
  }

  // --- pointers ---

  #secondsOf(event) {
    const box = this.part("ruler").getBoundingClientRect();
    return secondsAt(this.#view, box.width, event.clientX - box.left);
  }

  #drag(event) {
    if (event.button !== 0 || !event.target.closest("canvas")) return;
    this.focus({ preventScroll: true });
    const began = { x: event.clientX, at: this.#secondsOf(event) };
    const stage = this.part("stage");
    stage.setPointerCapture(event.pointerId);
    const move = (moved) => {
      if (Math.abs(moved.clientX - began.x) >= DRAG_PIXELS) this.#select(rangeOf(began.at, this.#secondsOf(moved), this.duration));
    };
    const end = (ended) => {
      stage.removeEventListener("pointermove", move);
      if (ended.type === "pointerup" && Math.abs(ended.clientX - began.x) < DRAG_PIXELS) {
        this.#select(null);
        this.go(began.at);
      } else if (this.#range && !this.player.isPlaying) this.#at = this.#range.start;
      this.#draw();
    };
    stage.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, end, { once: true });
  }

  #hover(event) {
    const lane = this.#lanes.find((each) => each.canvas === event.target);
    if (lane) lane.canvas.title = sayOf(lane.track, this.#secondsOf(event));
  }

  #wheel(event) {
    const span = this.#view.end - this.#view.start;
    const isAcross = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.#look(zoomed(this.#view, 1.0015 ** event.deltaY, this.#secondsOf(event), this.duration));
    } else if (isAcross) {
      event.preventDefault();
      this.#pan(((event.deltaX || event.deltaY) / this.part("ruler").clientWidth) * span);
    }
  }

  #slide(event) {
    const canvas = this.part("overview");
    canvas.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const box = canvas.getBoundingClientRect();
      const at = ((moved.clientX - box.left) / box.width) * this.duration;
      this.#pan(at - (this.#view.start + this.#view.end) / 2);
    };
    move(event);
    canvas.addEventListener("pointermove", move);
    const end = () => canvas.removeEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end, { once: true });
  }

  #pan(seconds) {
    if (this.#follows) this.#follow();
    this.#look(panned(this.#view, seconds, this.duration));
  }

  // --- what is seen ---

  #look(view) {
    this.#view = view;
    this.#draw();
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      const heard = this.#lanes.filter((lane) => lane.hasAudio).map((lane) => lane.participant);
      this.peaks.look(heard, this.#view, this.#perPixel(), this.duration);
    }, REST_MS);
  }

  #perPixel() {
    const pixels = this.part("ruler").clientWidth * (window.devicePixelRatio || 1);
    return (this.#view.end - this.#view.start) / Math.max(1, pixels);
  }

  #select(range) {
    this.#range = range;
    if (!range) this.player.loop(null);
    this.#showRange();
    this.#draw();
  }

  #showRange() {
    const range = this.#range;
    this.part("range").hidden = !range;
    if (!range) return;
    this.part("range-text").textContent = `${offset(range.start, 3)} to ${offset(range.end, 3)} (${(range.end - range.start).toFixed(3)} s)`;
    const link = this.part("range-download");
    const layout = this.#lanes.length > 1 ? "tracks" : "mix";
    if (link) link.href = downloadOf(this.dataset.audio, range, layout, this.part("format").value);
  }

  #draw() {
    if (this.#isDrawing || !this.#timeline) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#paint();
    });
  }

  #paint() {
    const palette = colours(this);
    const heard = gainsOf(this.#lanes);
    const perPixel = this.#perPixel();
    drawRuler(this.part("ruler"), this.#view, palette);
    const tracks = this.#lanes.map((lane, index) => {
      const peaks = this.peaks.of(lane.participant, this.#view, perPixel, this.duration);
      lane.draw(this.#view, peaks, palette, heard[index] === 1);
      return { track: lane.track, overview: peaks[0] };
    });
    drawOverview(this.part("overview"), this.duration, this.#view, tracks, palette);
    this.#paintPlaces();
    this.marks.place(this.#view, this.part("ruler").clientWidth);
  }

  #paintPlaces() {
    const width = this.part("ruler").clientWidth;
    const at = this.player.isPlaying ? this.player.at : this.#at;
    const head = this.part("playhead");
    const place = pixelsAt(this.#view, width, at);
    head.hidden = place < 0 || place > width;
    head.style.transform = `translateX(${place.toFixed(1)}px)`;
    const shade = this.part("shade");
    shade.hidden = !this.#range;
    if (this.#range) {
      const [from, to] = [this.#range.start, this.#range.end].map((each) => Math.min(Math.max(pixelsAt(this.#view, width, each), 0), width));
      shade.style.transform = `translateX(${from}px)`;
      shade.style.width = `${to - from}px`;
    }
    this.part("offset").textContent = offset(at, 1);
    const zero = this.#timeline.audio_started_at;
    if (zero) {
      const moment = new Date(Date.parse(zero) + at * 1000).toISOString();
      this.part("clock").textContent = localText(moment, "time");
      this.part("clock").title = utcText(moment);
    }
  }

  #move() {
    if (!this.player.isPlaying) return;
    this.player.step();
    this.#at = this.player.at;
    const before = this.#view;
    if (this.#at > this.#view.end && this.#at < this.duration) this.#look(showing(this.#view, this.#at, this.duration));
    if (before === this.#view) this.#paintPlaces();
    requestAnimationFrame(() => this.#move());
  }

  #hear(what, text) {
    if (what === "failed") this.#say(`This cannot be played: ${text}.`, true);
    const button = this.part("play");
    button.dataset.playing = String(this.player.isPlaying);
    button.setAttribute("aria-label", this.player.isPlaying ? "Pause" : "Play");
    this.toggleAttribute("data-waiting", this.player.isWaiting);
  }

  #say(text, isWrong = false) {
    this.part("news").textContent = text;
    this.part("news").toggleAttribute("data-wrong", isWrong);
    this.part("retry").hidden = !isWrong;
  }
}

customElements.define("call-lanes", CallLanes);
