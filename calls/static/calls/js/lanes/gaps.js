// Gaps of a track as they are drawn: wide ones over the height of the lane, the others in a strip
// at its edge, where they hide nothing of the waveform. PURE.

import { pixelsAt } from "./axis.js";

export const WIDE_PIXELS = 6;

/**
 * Returns `wide`: [{from, to}] in pixels, and `shares`: for each pixel the share of its time that
 * is missing in narrow gaps, 0 to 1.
 * @param gaps [{start, end}] in seconds
 */
export function gapMarks(view, width, gaps) {
  const wide = [];
  const shares = new Float32Array(Math.max(0, Math.ceil(width)));
  for (const gap of gaps) {
    const from = pixelsAt(view, width, gap.start);
    const to = pixelsAt(view, width, gap.end);
    if (to < 0 || from > width) continue;
    if (to - from >= WIDE_PIXELS) wide.push({ from: Math.max(0, from), to: Math.min(width, to) });
    else addShares(shares, from, to);
  }
  return { wide, shares };
}

/**
 * Returns the gaps of a track around a moment as text, "" if there is none.
 * @param reach seconds of a pixel: shorter gaps cannot be pointed at
 */
export function gapText(gaps, seconds, reach) {
  const near = gaps.filter((gap) => gap.start <= seconds + reach && gap.end > seconds - reach);
  if (!near.length) return "";
  const missing = near.reduce((sum, gap) => sum + gap.end - gap.start, 0).toFixed(2);
  return near.length === 1
    ? `${near[0].label}, ${missing} s`
    : `${near.length} gaps, ${missing} s missing`;
}

function addShares(shares, from, to) {
  const last = Math.min(shares.length - 1, Math.floor(to));
  for (let pixel = Math.max(0, Math.floor(from)); pixel <= last; pixel += 1) {
    const share = Math.min(to, pixel + 1) - Math.max(from, pixel);
    shares[pixel] = Math.min(1, shares[pixel] + Math.max(0, share));
  }
}
