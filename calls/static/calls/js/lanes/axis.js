// The visible part of a call, {start, end} in seconds, and its mapping to pixels. PURE.

export const LEAST_SECONDS = 0.05;
const TICK_PIXELS = 90;
const STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
  1800, 3600, 7200,
];

export function fitted(duration) {
  return { start: 0, end: Math.max(duration, LEAST_SECONDS) };
}

/** Zooms around the second `at`; a `factor` below 1 zooms in. */
export function zoomed(view, factor, at, duration) {
  const span = Math.min(
    Math.max((view.end - view.start) * factor, LEAST_SECONDS),
    Math.max(duration, LEAST_SECONDS),
  );
  const share = (at - view.start) / (view.end - view.start);
  return inside({ start: at - share * span, end: at + (1 - share) * span }, duration);
}

export function panned(view, seconds, duration) {
  return inside({ start: view.start + seconds, end: view.end + seconds }, duration);
}

/**
 * Returns a view that contains `at`: the same view if it does, else one with `at` at a tenth of its
 * width.
 */
export function showing(view, at, duration) {
  if (at >= view.start && at <= view.end) return view;
  const span = view.end - view.start;
  return inside({ start: at - span / 10, end: at + (span * 9) / 10 }, duration);
}

export function secondsAt(view, width, pixels) {
  return view.start + (pixels / width) * (view.end - view.start);
}

export function pixelsAt(view, width, seconds) {
  return ((seconds - view.start) / (view.end - view.start)) * width;
}

/**
 * Returns [{at, label}] for a ruler of `width` pixels: round seconds, about ninety pixels apart.
 */
export function ticks(view, width) {
  const least = ((view.end - view.start) / Math.max(width, 1)) * TICK_PIXELS;
  const step =
    STEPS.find((each) => each >= least) ?? STEPS.at(-1) * Math.ceil(least / STEPS.at(-1));
  const found = [];
  for (let index = Math.ceil(view.start / step); index * step <= view.end; index += 1) {
    const at = Number((index * step).toFixed(3));
    found.push({ at, label: offset(at, step < 1 ? decimals(step) : 0) });
  }
  return found;
}

/** Formats seconds as an offset into the call: 0:07, 12:34.2, 1:02:09. */
export function offset(seconds, digits = 0) {
  const units = 10 ** digits;
  const all = Math.max(0, Math.floor(seconds * units + 1e-6));
  const whole = Math.floor(all / units);
  const two = (number) => String(number).padStart(2, "0");
  const rest = digits ? `.${String(all % units).padStart(digits, "0")}` : "";
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}${rest}`;
}

function inside(view, duration) {
  const most = Math.max(duration, LEAST_SECONDS);
  const span = Math.min(view.end - view.start, most);
  const start = Math.min(Math.max(view.start, 0), most - span);
  return { start, end: start + span };
}

function decimals(step) {
  return step < 0.01 ? 3 : step < 0.1 ? 2 : 1;
}
