// Cache of peaks: overviews are fetched at once, tiles when the view has stopped moving.

import { OVERVIEW_POINTS, tilesFor } from "./tiles.js";

const MAX_TILES = 600; // of some 40 kB each
const MAX_REQUESTS = 6;
const MAX_TRIES = 3;
const RETRY_MS = 1_000; // a server that is briefly busy is retried without the user

export class Peaks {
  #address;
  #changed;
  #failed;
  #overviews = new Map(); // participant -> {start, end, peaks}
  #tiles = new Map(); // participant and key -> {start, end, peaks}; least recently used first
  #queue = []; // waiting requests, the newest last
  #running = 0;

  /**
   * @param address of the peaks in REST; `changed()`: there is more to draw; `failed(error)`: a
   * request failed
   */
  constructor(address, { changed, failed }) {
    this.#address = address;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Fetches the overview of a new or longer call. The previous one is drawn until it arrives. */
  overview(participant, duration) {
    const kept = this.#overviews.get(participant);
    if (!(duration > 0) || (kept && Math.abs(kept.end - duration) < 0.001)) return;
    this.#enqueue({
      participant,
      query: { points: OVERVIEW_POINTS, end: duration.toFixed(6) },
      keep: (peaks) => this.#overviews.set(participant, peaks),
    });
  }

  /** Fetches the tiles of the view; queued requests for other tiles are dropped. */
  fetchTiles(participants, view, secondsPerPixel, duration) {
    this.#queue = this.#queue.filter((request) => !request.key);
    for (const tile of tilesFor(view, secondsPerPixel, duration)) {
      for (const participant of participants) {
        const key = `${participant} ${tile.key}`;
        if (this.#tiles.has(key)) continue;
        this.#enqueue({
          participant,
          key,
          query: { points: tile.points, start: tile.start.toFixed(3), end: tile.end.toFixed(6) },
          keep: (peaks) => this.#keep(key, peaks),
        });
      }
    }
  }

  /** Returns [overview or null, available tiles]. */
  of(participant, view, secondsPerPixel, duration) {
    const tiles = tilesFor(view, secondsPerPixel, duration).map((tile) =>
      this.#tiles.get(`${participant} ${tile.key}`),
    );
    return [this.#overviews.get(participant) ?? null, tiles.filter((tile) => tile?.peaks)];
  }

  #enqueue(request) {
    this.#queue.push(request);
    this.#next();
  }

  #next() {
    while (this.#running < MAX_REQUESTS && this.#queue.length) {
      this.#running += 1;
      void this.#fetch(this.#queue.pop());
    }
  }

  async #fetch(request) {
    const { participant, query, keep, key, tries = 1 } = request;
    if (key) this.#tiles.set(key, {}); // under way
    try {
      const answer = await fetch(
        `${this.#address}?${new URLSearchParams({ participant, ...query })}`,
      );
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      keep(await answer.json());
      this.#changed();
    } catch (error) {
      this.#tiles.delete(key);
      if (tries < MAX_TRIES)
        setTimeout(() => this.#enqueue({ ...request, tries: tries + 1 }), RETRY_MS * tries);
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
