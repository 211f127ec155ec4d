// Places in a call as an address says them (`#t=754.2`, `#t=10,20`: media fragments, W3C), and from mark to mark. PURE.

/** {start, end}; `end` is null for a place, the whole is null where the fragment says no time. */
export function placeIn(fragment) {
  const found = /(?:^#?|&)t=(?:npt:)?(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:&|$)/.exec(fragment);
  if (!found) return null;
  const start = Number(found[1]);
  const end = found[2] === undefined ? null : Number(found[2]);
  return end !== null && end <= start ? null : { start, end };
}

export function fragmentOf(start, end = null) {
  return `#t=${short(start)}${end === null ? "" : `,${short(end)}`}`;
}

/** A range between two places, in whole milliseconds and inside the call; null where nothing is left. */
export function rangeOf(one, other, duration) {
  const [start, end] = [Math.min(one, other), Math.max(one, other)].map(
    (each) => Math.round(Math.min(Math.max(each, 0), duration) * 1000) / 1000,
  );
  return end - start >= 0.001 ? { start, end } : null;
}

/** Where a range is downloaded from, with the channels of `layout`. */
export function downloadOf(address, { start, end }, layout, format) {
  const wish = { layout, format, start: start.toFixed(3), end: end.toFixed(3), download: "true" };
  return `${address}?${new URLSearchParams(wish)}`;
}

/** The next place of interest behind `at`, or before it with `step` -1; null at the end. */
export function nextPlace(places, at, step) {
  const hair = 0.05;
  const sorted = [...new Set(places)].sort((first, second) => first - second);
  if (step > 0) return sorted.find((place) => place > at + hair) ?? null;
  return sorted.findLast((place) => place < at - hair) ?? null;
}

function short(seconds) {
  return String(Math.round(seconds * 1000) / 1000);
}
