// Bar of the selected range: its text and its download link.

import { offset } from "./axis.js";
import { downloadOf } from "./place.js";

/** Fills the bar, hidden if `range` is null. @param audio address of the audio in REST */
export function showRange(bar, range, audio, layout) {
  const part = (name) => bar.querySelector(`[data-part="${name}"]`);
  bar.hidden = !range;
  if (!range) return;
  const length = `${(range.end - range.start).toFixed(3)} s`;
  const text = `${offset(range.start, 3)} to ${offset(range.end, 3)} (${length})`;
  part("range-text").textContent = text;
  const link = part("range-download");
  if (link) link.href = downloadOf(audio, range, layout, part("format").value);
}
