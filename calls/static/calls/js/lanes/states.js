// Times in which a participant was muted or on hold, and of which witnesses speak, as text and as
// places in a lane. PURE.

import { offset, pixelsAt } from "./axis.js";

/**
 * Returns the timeline with `witnesses`, and `states` in its tracks: during an upgrade, a process of
 * the version before sends neither.
 */
export function complete(timeline) {
  const tracks = timeline.tracks.map((track) => ({ ...track, states: track.states ?? [] }));
  return { ...timeline, tracks, witnesses: timeline.witnesses ?? [] };
}

/** Returns "0:02 to 1:10", "from 0:02" without an end; before the audio "−0:02". */
export function facts({ start, end }) {
  return end === null ? `from ${signed(start)}` : `${signed(start)} to ${signed(end)}`;
}

/**
 * Returns the spans around a moment as text, "" if there are none.
 * @param spans [{start, end, label}] in seconds
 * @param reach seconds of a pixel: shorter spans cannot be pointed at
 */
export function spansAt(spans, seconds, reach) {
  return spans
    .filter((span) => span.start <= seconds + reach && span.end > seconds - reach)
    .map((span) => `${span.label}, ${facts(span)}`)
    .join(" · ");
}

/** Returns the visible states as [{kind, from, to}] in pixels. */
export function stateMarks(view, width, states) {
  return states
    .map(({ kind, start, end }) => ({
      kind,
      from: Math.max(0, pixelsAt(view, width, start)),
      to: Math.min(width, pixelsAt(view, width, end)),
    }))
    .filter(({ from, to }) => to > from);
}

function signed(seconds) {
  return seconds < 0 ? `−${offset(-seconds)}` : offset(seconds);
}
