// Tiles of peaks for the visible part, and their conversion to pixel columns. PURE.
//
// Each track has one overview. Where its points are wider than a pixel, tiles of POINTS points are
// added: 4 s long at level 0, and twice as long at each further level.

export const OVERVIEW_POINTS = 4_000;
export const POINTS = 2_048;
const LEAST_TILE_SECONDS = 4;

/**
 * Returns the level whose points are at most a pixel wide (or the finest); null if the overview is
 * fine enough.
 */
export function levelFor(secondsPerPixel, duration) {
  if (duration / OVERVIEW_POINTS <= secondsPerPixel) return null;
  const level = Math.floor(Math.log2((secondsPerPixel * POINTS) / LEAST_TILE_SECONDS));
  return Math.max(0, level);
}

/** Returns the tiles [{key, start, end, points}] that cover the view, limited to the call. */
export function tilesFor(view, secondsPerPixel, duration) {
  const level = levelFor(secondsPerPixel, duration);
  if (level === null) return [];
  const length = LEAST_TILE_SECONDS * 2 ** level;
  const tiles = [];
  for (
    let index = Math.floor(view.start / length);
    index * length < Math.min(view.end, duration);
    index += 1
  ) {
    const start = index * length;
    const end = Math.min(start + length, duration);
    if (end - start < 0.001) continue;
    tiles.push({
      key: `${start}-${end.toFixed(3)}`,
      start,
      end,
      points: Math.max(1, Math.ceil((POINTS * (end - start)) / length)),
    });
  }
  return tiles;
}

/**
 * Returns the lowest and highest value of each pixel: [low, high, low, high, …] of full scale;
 * NaN where there is no data.
 * `source`: {start, end, peaks: [[low, high], …]}.
 */
export function columns(view, width, source) {
  const found = new Float32Array(2 * width).fill(Number.NaN);
  const count = source.peaks.length;
  if (!count) return found;
  const perSecond = count / (source.end - source.start);
  const perPixel = (view.end - view.start) / width;
  for (let pixel = 0; pixel < width; pixel += 1) {
    const from = (view.start + pixel * perPixel - source.start) * perSecond;
    const to = from + perPixel * perSecond;
    if (to <= 0 || from >= count) continue;
    const first = Math.max(0, Math.floor(from));
    const last = Math.min(count, Math.max(Math.ceil(to), first + 1));
    let low = 1;
    let high = -1;
    for (let index = first; index < last; index += 1) {
      low = Math.min(low, source.peaks[index][0]);
      high = Math.max(high, source.peaks[index][1]);
    }
    found[2 * pixel] = low;
    found[2 * pixel + 1] = high;
  }
  return found;
}

/** Merges two results of `columns`: `fine` where it has data, else `coarse`. */
export function united(coarse, fine) {
  const found = coarse.slice();
  for (let index = 0; index < fine.length; index += 1)
    if (!Number.isNaN(fine[index])) found[index] = fine[index];
  return found;
}
