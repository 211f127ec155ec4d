// Moments and ranges in the address (`#t=754.2`, `#t=10,20`: media fragments, W3C), and navigation
// between marks. PURE.

const TIME = "(?:(?:(\\d+):)?(\\d+):)?(\\d+(?:\\.\\d+)?)"; // hours and minutes may be missing
const PLACE = new RegExp(`(?:^#?|&)t=(?:npt:)?(?:${TIME})?(?:,${TIME})?(?:&|$)`);

/**
 * Parses `t=60`, `t=1:00`, `t=1:02:03.5` or a range of two of them to {start, end} in seconds;
 * `end` is null for a moment, the result is null for any other fragment.
 */
export function placeIn(fragment) {
  const match = PLACE.exec(fragment);
  if (!match || (match[3] === undefined && match[6] === undefined)) return null;
  const [start, end] = [match.slice(1, 4), match.slice(4, 7)].map(
    ([hours = 0, minutes = 0, seconds]) =>
      seconds === undefined ? null : hours * 3600 + minutes * 60 + Number(seconds),
  );
  return end !== null && end <= (start ?? 0) ? null : { start: start ?? 0, end };
}

export function fragmentOf(start, end = null) {
  return `#t=${short(start)}${end === null ? "" : `,${short(end)}`}`;
}

/**
 * Returns the range between two moments, in whole milliseconds within the call; null if it is
 * empty.
 */
export function rangeOf(one, other, duration) {
  const [start, end] = [Math.min(one, other), Math.max(one, other)].map(
    (each) => Math.round(Math.min(Math.max(each, 0), duration) * 1000) / 1000,
  );
  return end - start >= 0.001 ? { start, end } : null;
}

/** Returns the download address of a range in the given layout. */
export function downloadOf(address, { start, end }, layout, format) {
  const query = { layout, format, start: start.toFixed(3), end: end.toFixed(3), download: "true" };
  return `${address}?${new URLSearchParams(query)}`;
}

/**
 * Returns the layout in which a range is downloaded: a channel per track if the format can hold so
 * many, else the mix.
 * @param channels number of tracks
 * @param format `most` channels, and those that it cannot hold, `except`: as texts
 */
export function layoutFor(channels, { most, except }) {
  const isHeld = channels <= Number(most) && !except.split(" ").includes(String(channels));
  return channels > 1 && isHeld ? "tracks" : "mix";
}

/** Returns the next of `places` after `at`, or before it if `step` is -1; null if there is none. */
export function nextPlace(places, at, step) {
  const tolerance = 0.05;
  const sorted = [...new Set(places)].sort((first, second) => first - second);
  if (step > 0) return sorted.find((place) => place > at + tolerance) ?? null;
  return sorted.findLast((place) => place < at - tolerance) ?? null;
}

function short(seconds) {
  return String(Math.round(seconds * 1000) / 1000);
}
