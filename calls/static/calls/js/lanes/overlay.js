// Playhead, its time of day, and the shade of the selected range.

import { shownText, utcText } from "../local-time.js";
import { pixelsAt } from "./axis.js";

/**
 * Places the playhead at `at` (seconds), hidden outside the view.
 * @param width of the lanes, pixels
 */
export function placePlayhead(element, view, width, at) {
  const left = pixelsAt(view, width, at);
  element.hidden = left < 0 || left > width;
  element.style.transform = `translateX(${left.toFixed(1)}px)`;
}

/** Places the shade over `range` ({start, end} in seconds), hidden if it is null. */
export function placeShade(element, view, width, range) {
  element.hidden = !range;
  if (!range) return;
  const [from, to] = [range.start, range.end].map((each) =>
    Math.min(Math.max(pixelsAt(view, width, each), 0), width),
  );
  element.style.transform = `translateX(${from}px)`;
  element.style.width = `${to - from}px`;
}

/** Shows the time of day at `at`, seconds after `zero` (ISO 8601; null: no audio yet). */
export function showTimeOfDay(element, zero, at) {
  if (!zero) return;
  const moment = new Date(Date.parse(zero) + at * 1000).toISOString();
  element.textContent = shownText(moment, "time");
  element.title = utcText(moment);
}
