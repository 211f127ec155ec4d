// The peaks of the tracks, fetched as they are wanted and kept: overviews at once, tiles when the view has come to rest.

import { OVERVIEW_POINTS, tilesFor } from "./tiles.js";

const MAX_TILES = 600; // of some 40 kB each
const MAX_REQUESTS = 6;
const MAX_TRIES = 3;
const AGAIN_MS = 1_000; // a server that was busy for a moment needs nobody to press a button

export class Peaks {
  #address;
  #changed;
  #failed;
  #overviews = new Map(); // participant -> {start, end, peaks}
  #tiles = new Map(); // participant and key -> {start, end, peaks}; least recently used first
  #wanted = []; // requests that wait, the newest wish last
  #running = 0;

  /** `changed()` when there is more to draw, `failed(error)` when something could not be fetched. */
  constructor(address, { changed, failed }) {
    this.#address = address;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Of a call that has grown, or for the first time. What was there is drawn until the new one has come. */
  overview(participant, duration) {
    const kept = this.#overviews.get(participant);
    if (!(duration > 0) || (kept && Math.abs(kept.end - duration) < 0.001)) return;
    this.#want({
      participant,
      query: { points: OVERVIEW_POINTS, end: duration.toFixed(6) },
      keep: (peaks) => this.#overviews.set(participant, peaks),
    });
  }

  /** Asks for the tiles of the view; wishes for other places that have not been begun are forgotten. */
  look(participants, view, secondsPerPixel, duration) {
    this.#wanted = this.#wanted.filter((request) => !request.key);
    for (const tile of tilesFor(view, secondsPerPixel, duration)) {
      for (const participant of participants) {
        const key = `${participant} ${tile.key}`;
        if (this.#tiles.has(key)) continue;
        this.#want({
          participant,
          key,
          query: { points: tile.points, start: tile.start.toFixed(3), end: tile.end.toFixed(6) },
          keep: (peaks) => this.#keep(key, peaks),
        });
      }
    }
  }

  /** [overview or null, tiles that are there]. */
  of(participant, view, secondsPerPixel, duration) {
    const tiles = tilesFor(view, secondsPerPixel, duration).map((tile) => this.#tiles.get(`${participant} ${tile.key}`));
    return [this.#overviews.get(participant) ?? null, tiles.filter((tile) => tile?.peaks)];
  }

  #want(request) {
    this.#wanted.push(request);
    this.#next();
  }

  #next() {
    while (this.#running < MAX_REQUESTS && this.#wanted.length) {
      this.#running += 1;
      void this.#fetch(this.#wanted.pop());
    }
  }

  async #fetch(request) {
    const { participant, query, keep, key, tries = 1 } = request;
    if (key) this.#tiles.set(key, {}); // under way
    try {
      const answer = await fetch(`${this.#address}?${new URLSearchParams({ participant, ...query })}`);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      keep(await answer.json());
      this.#changed();
    } catch (error) {
      this.#tiles.delete(key);
      if (tries < MAX_TRIES) setTimeout(() => this.#want({ ...request, tries: tries + 1 }), AGAIN_MS * tries);
      else this.#failed(error);
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }

  #keep(key, peaks) {
    this.#tiles.set(key, peaks);
    for (const oldest of this.#tiles.keys()) {
      if (this.#tiles.size <= MAX_TILES) break;
      this.#tiles.delete(oldest);
    }
  }
}
