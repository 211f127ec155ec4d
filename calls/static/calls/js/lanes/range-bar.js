// Bar of the selected range: its text and its download link.

import { offset } from "./axis.js";
import { downloadOf, layoutFor } from "./place.js";

/**
 * Fills the bar, hidden if `range` is null.
 * @param audio address of the audio in REST
 * @param channels number of tracks with audio
 */
export function showRange(bar, range, audio, channels) {
  const part = (name) => bar.querySelector(`[data-part="${name}"]`);
  bar.hidden = !range;
  if (!range) return;
  const length = `${(range.end - range.start).toFixed(3)} s`;
  const text = `${offset(range.start, 3)} to ${offset(range.end, 3)} (${length})`;
  part("range-text").textContent = text;
  const link = part("range-download");
  if (!link) return;
  const { value, dataset } = part("format").selectedOptions[0];
  const layout = layoutFor(channels, dataset);
  link.href = downloadOf(audio, range, layout, value);
  part("range-mix").hidden = layout === "tracks" || channels < 2;
}
