// <call-lanes>: timeline and player of a call, one lane per track. Data comes from the call's
// timeline; logic that needs no page is in the other modules of this folder.

import { fitted, offset, panned, secondsAt, showing, zoomed } from "./axis.js";
import { colours, drawOverview, drawRuler, tooltipOf } from "./drawing.js";
import { gainsOf, speedBeside } from "./gains.js";
import { commandOf } from "./keys.js";
import { Lane } from "./lane.js";
import { Marks } from "./mark-list.js";
import { placePlayhead, placeShade, showTimeOfDay } from "./overlay.js";
import { Peaks } from "./peaks.js";
import { fragmentOf, nextPlace, placeIn, rangeOf } from "./place.js";
import { Player } from "./player.js";
import { trackPointer } from "./pointer.js";
import { showRange } from "./range-bar.js";
import { complete } from "./states.js";
import { WitnessLanes } from "./witnesses.js";

const REST_MS = 120; // tiles are fetched after the view has not moved for this long
const RELOAD_MS = 3_000;
const DRAG_PIXELS = 4; // less is a click

class CallLanes extends HTMLElement {
  #timeline = null;
  #view = fitted(0);
  #lanes = [];
  #range = null;
  #at = 0; // playback position while paused
  #isFollowing = false;
  #isDrawing = false;
  #restTimer = null;
  #reloadTimer = null;

  connectedCallback() {
    this.mayHear = this.dataset.mayHear === "true";
    this.player = new Player(this.dataset.audio, (event, text) => this.#playerChanged(event, text));
    this.peaks = new Peaks(this.dataset.peaks, {
      changed: () => this.#draw(),
      failed: (error) =>
        this.#showMessage(`The waveform could not be loaded: ${error.message}.`, true),
    });
    this.marks = new Marks(this.part("marks"), this.part("mark-template"), ({ at }) => this.go(at));
    this.witnesses = new WitnessLanes(this.part("witnesses"), this.part("witness-template"));
    this.#isFollowing = this.dataset.live === "true";
    this.#addListeners();
    void this.#load();
  }

  disconnectedCallback() {
    clearTimeout(this.#reloadTimer);
    this.player.pause();
  }

  part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  get duration() {
    return this.#timeline?.duration_seconds ?? 0;
  }

  /** Moves to a position, also while playing. */
  go(seconds) {
    this.#at = Math.min(Math.max(seconds, 0), this.duration);
    this.player.seek(this.#at);
    this.#setView(showing(this.#view, this.#at, this.duration));
  }

  // --- data from the server ---

  async #load() {
    clearTimeout(this.#reloadTimer);
    try {
      const answer = await fetch(this.dataset.timeline);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      this.#show(complete(await answer.json()));
      this.dataset.state = "shown";
    } catch (error) {
      this.dataset.state = this.#timeline ? "shown" : "failed";
      this.#showMessage(`The call could not be loaded: ${error.message}. `, true);
    }
    if (this.#timeline?.state === "live" || !this.#timeline)
      this.#reloadTimer = setTimeout(() => this.#reload(), RELOAD_MS);
  }

  #reload() {
    if (document.hidden) this.#reloadTimer = setTimeout(() => this.#reload(), RELOAD_MS);
    else void this.#load();
  }

  #show(timeline) {
    const isFirst = this.#timeline === null;
    const isFitted = this.#view.start === 0 && this.#view.end >= this.duration;
    const grown = timeline.duration_seconds - this.duration;
    this.#timeline = timeline;
    const isEmpty = timeline.tracks.every((track) => !track.segments);
    this.toggleAttribute("data-empty", isEmpty);
    this.part("play").disabled = isEmpty || !this.mayHear;
    this.#showLanes();
    this.marks.show(timeline.marks);
    if (isFirst && timeline.has_more_marks)
      this.#showMessage(`Only the first ${timeline.marks.length} events are shown.`);
    this.player.update(this.#lanes, this.duration);
    this.part("length").textContent = offset(this.duration, 1);
    this.part("follow").hidden = timeline.state !== "live";
    if (timeline.state !== "live") this.#isFollowing = false;
    for (const lane of this.#lanes)
      if (lane.hasAudio) this.peaks.overview(lane.participant, this.duration);
    if (isFirst || isFitted) this.#setView(fitted(this.duration));
    else if (this.#isFollowing && grown > 0)
      this.#setView(panned(this.#view, grown, this.duration));
    else this.#draw();
    if (isFirst) this.followAddress();
  }

  #showLanes() {
    const before = new Map(this.#lanes.map((lane) => [lane.participant, lane]));
    this.#lanes = this.#timeline.tracks.map((track) => {
      const lane =
        before.get(track.participant) ??
        new Lane(this.part("lane-template"), track, () => this.#mixChanged());
      lane.show(track);
      return lane;
    });
    const column = this.part("lanes");
    const elements = this.#lanes.map((lane) => lane.element);
    if (elements.some((element, index) => column.children[index] !== element))
      column.replaceChildren(...elements);
    const canvases = this.witnesses.show(this.#timeline.witnesses);
    for (const canvas of [...this.#lanes.map((lane) => lane.canvas), ...canvases])
      this.sizes.observe(canvas);
  }

  // --- commands ---

  #addListeners() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) this.#run(button.dataset.do, Number(button.dataset.value));
    });
    this.addEventListener("keydown", (event) => this.#keyPressed(event));
    this.part("speed").addEventListener("change", (event) =>
      this.#setSpeed(Number(event.target.value)),
    );
    this.part("volume").addEventListener(
      "input",
      (event) => (this.player.volume = Number(event.target.value)),
    );
    this.part("format").addEventListener("change", () => this.#showRange());
    const stage = this.part("stage");
    stage.addEventListener("pointerdown", (event) => this.#drag(event));
    stage.addEventListener("pointermove", (event) => this.#hover(event));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.part("overview").addEventListener("pointerdown", (event) => this.#dragOverview(event));
    window.addEventListener("hashchange", () => this.followAddress());
    window.addEventListener("online", () => void this.#load());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#draw());
    window
      .matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#draw());
    this.sizes = new ResizeObserver(() => this.#draw());
    this.sizes.observe(this.part("ruler"));
  }

  #keyPressed(event) {
    if (event.target.closest("input, select, textarea")) return;
    if (event.target.closest("button") && (event.key === " " || event.key === "Enter")) return;
    const command = commandOf(event);
    if (!command) return;
    event.preventDefault();
    this.#run(...command);
  }

  #run(name, value) {
    const middle = (this.#view.start + this.#view.end) / 2;
    const at = this.player.isPlaying ? this.player.at : this.#at;
    const center = at >= this.#view.start && at <= this.#view.end ? at : middle;
    const commands = {
      play: () => this.#playOrPause(),
      step: () => this.go(at + value),
      go: () => this.go(Math.min(value, this.duration)),
      mark: () => this.#goToMark(at, value),
      zoom: () => this.#setView(zoomed(this.#view, value, center, this.duration)),
      fit: () => this.#setView(fitted(this.duration)),
      speed: () => this.#setSpeed(speedBeside(this.player.speed, value)),
      mute: () => this.#lanes[value]?.press("mute"),
      solo: () => this.#lanes[value]?.press("solo"),
      clear: () => this.#select(null),
      loop: () => this.#loopRange(),
      follow: () => this.#follow(),
      link: () => void this.#copyLink(at),
      retry: () => void this.#load(),
    };
    commands[name]?.();
  }

  #playOrPause() {
    if (!this.mayHear || this.hasAttribute("data-empty")) return;
    if (this.player.isPlaying) return this.player.pause();
    this.part("news").textContent = "";
    if (this.#at >= this.duration - 0.05) this.go(0);
    void this.player.play();
    requestAnimationFrame(() => this.#animate());
  }

  #loopRange() {
    if (!this.#range || !this.mayHear) return;
    this.player.loop(this.#range);
    this.go(this.#range.start);
    if (!this.player.isPlaying) this.#playOrPause();
  }

  #mixChanged() {
    this.player.update(this.#lanes, this.duration);
    this.#draw();
  }

  #setSpeed(speed) {
    this.player.speed = speed;
    this.part("speed").value = String(speed);
  }

  #follow() {
    this.#isFollowing = !this.#isFollowing;
    this.part("follow").setAttribute("aria-pressed", String(this.#isFollowing));
    if (this.#isFollowing)
      this.#setView(panned(this.#view, this.duration - this.#view.end, this.duration));
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
      this.#showMessage(`Link to ${this.#range ? "this range" : offset(at, 1)} copied.`);
    } catch {
      this.#showMessage("The link is in the address bar: the browser does not allow copying here.");
    }
  }

  followAddress() {
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
    const isClick = ({ clientX }) => Math.abs(clientX - began.x) < DRAG_PIXELS;
    const moved = (last) => {
      if (isClick(last)) return;
      this.#select(rangeOf(began.at, this.#secondsOf(last), this.duration));
    };
    const ended = (last) => {
      if (last.type === "pointerup" && isClick(last)) {
        this.#select(null);
        this.go(began.at);
      } else if (this.#range && !this.player.isPlaying) this.#at = this.#range.start;
      this.#draw();
    };
    trackPointer(this.part("stage"), event, { moved, ended });
  }

  #hover(event) {
    const lane = this.#lanes.find((each) => each.canvas === event.target);
    if (lane) lane.canvas.title = tooltipOf(lane.track, this.#secondsOf(event), this.#perPixel());
    else this.witnesses.hover(event.target, this.#secondsOf(event), this.#perPixel());
  }

  #wheel(event) {
    const span = this.#view.end - this.#view.start;
    const isAcross = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.#setView(
        zoomed(this.#view, 1.0015 ** event.deltaY, this.#secondsOf(event), this.duration),
      );
    } else if (isAcross) {
      event.preventDefault();
      this.#pan(((event.deltaX || event.deltaY) / this.part("ruler").clientWidth) * span);
    }
  }

  #dragOverview(event) {
    const canvas = this.part("overview");
    const moved = ({ clientX }) => {
      const box = canvas.getBoundingClientRect();
      const at = ((clientX - box.left) / box.width) * this.duration;
      this.#pan(at - (this.#view.start + this.#view.end) / 2);
    };
    moved(event);
    trackPointer(canvas, event, { moved });
  }

  #pan(seconds) {
    if (this.#isFollowing) this.#follow();
    this.#setView(panned(this.#view, seconds, this.duration));
  }

  // --- view ---

  #setView(view) {
    this.#view = view;
    this.#draw();
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      const audible = this.#lanes.filter((lane) => lane.hasAudio).map((lane) => lane.participant);
      this.peaks.fetchTiles(audible, this.#view, this.#perPixel(), this.duration);
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
    const channels = this.#lanes.filter((lane) => lane.hasAudio).length;
    showRange(this.part("range"), this.#range, this.dataset.audio, channels);
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
    const gains = gainsOf(this.#lanes);
    const perPixel = this.#perPixel();
    drawRuler(this.part("ruler"), this.#view, palette);
    const tracks = this.#lanes.map((lane, index) => {
      const peaks = this.peaks.of(lane.participant, this.#view, perPixel, this.duration);
      lane.draw(this.#view, peaks, palette, gains[index] === 1);
      return { track: lane.track, overview: peaks[0] };
    });
    drawOverview(this.part("overview"), this.duration, this.#view, tracks, palette);
    this.witnesses.draw(this.#view, palette);
    this.#paintPosition();
    this.marks.place(this.#view, this.part("ruler").clientWidth);
  }

  #paintPosition() {
    const width = this.part("ruler").clientWidth;
    const at = this.player.isPlaying ? this.player.at : this.#at;
    placePlayhead(this.part("playhead"), this.#view, width, at);
    placeShade(this.part("shade"), this.#view, width, this.#range);
    this.part("offset").textContent = offset(at, 1);
    showTimeOfDay(this.part("clock"), this.#timeline.audio_started_at, at);
  }

  #animate() {
    if (!this.player.isPlaying) return;
    this.player.step();
    this.#at = this.player.at;
    const before = this.#view;
    if (this.#at > this.#view.end && this.#at < this.duration)
      this.#setView(showing(this.#view, this.#at, this.duration));
    if (before === this.#view) this.#paintPosition();
    requestAnimationFrame(() => this.#animate());
  }

  #playerChanged(event, text) {
    if (event === "failed") this.#showMessage(`Playback failed: ${text}.`, true);
    const button = this.part("play");
    button.dataset.playing = String(this.player.isPlaying);
    button.setAttribute("aria-label", this.player.isPlaying ? "Pause" : "Play");
    this.toggleAttribute("data-waiting", this.player.isWaiting);
  }

  #showMessage(text, isWrong = false) {
    this.part("news").textContent = text;
    this.part("news").toggleAttribute("data-wrong", isWrong);
    this.part("retry").hidden = !isWrong;
  }
}

customElements.define("call-lanes", CallLanes);
