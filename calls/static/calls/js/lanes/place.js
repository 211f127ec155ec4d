// Moments and ranges in the address (`#t=754.2`, `#t=10,20`: media fragments, W3C), and navigation
// between marks. PURE.

/**
 * Parses to {start, end}; `end` is null for a moment, the result is null for any other fragment.
 */
export function placeIn(fragment) {
  const match = /(?:^#?|&)t=(?:npt:)?(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:&|$)/.exec(fragment);
  if (!match) return null;
  const start = Number(match[1]);
  const end = match[2] === undefined ? null : Number(match[2]);
  return end !== null && end <= start ? null : { start, end };
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
