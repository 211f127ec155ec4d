// Canvas drawing of lanes, ruler and overview, at the resolution of the screen, in the colours of
// the style sheet.

import { offset, pixelsAt, ticks } from "./axis.js";
import { gapMarks, gapText } from "./gaps.js";
import { spansAt, stateMarks } from "./states.js";
import { columns, united } from "./tiles.js";

const HATCH_PIXELS = 7;
const STATE_PIXELS = 4; // muted, on hold: at the upper edge of a lane
const STRIP_PIXELS = 5; // of narrow gaps, at the lower edge of a lane

/** Fits the canvas to its box; returns its cleared context, scaled to CSS pixels, and its size. */
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height, ratio };
}

export function colours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    wave: of("--wave"),
    silence: of("--line"),
    gap: of("--hot"),
    ink: of("--ink-soft"),
    line: of("--line"),
    silent: of("--ink-soft"),
    mute: of("--control"),
    hold: of("--warm"),
  };
}

/**
 * Draws one track: gaps hatched, silence as a thin line, nothing where the participant was not
 * there; a line at the upper edge where they were muted or on hold.
 */
export function drawLane(canvas, view, track, [overview, tiles], palette, isAudible) {
  const { pen, width, height, ratio } = prepared(canvas);
  const middle = height / 2;
  drawGaps(pen, gapMarks(view, width, track.gaps), { top: 0, height }, palette.gap);
  for (const { kind, from, to } of stateMarks(view, width, track.states)) {
    pen.fillStyle = palette[kind];
    pen.fillRect(from, 0, to - from, STATE_PIXELS);
  }
  pen.fillStyle = palette.silence;
  for (const [start, end] of track.recorded) {
    const from = Math.max(0, pixelsAt(view, width, start));
    const to = Math.min(width, pixelsAt(view, width, end));
    if (to > from) pen.fillRect(from, middle - 0.5, to - from, 1);
  }
  if (!overview) return;
  const pixels = Math.round(width * ratio);
  let found = columns(view, pixels, overview);
  for (const tile of tiles) found = united(found, columns(view, pixels, tile));
  pen.fillStyle = isAudible ? palette.wave : palette.silent;
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const [low, high] = [found[2 * pixel], found[2 * pixel + 1]];
    if (Number.isNaN(low) || high - low < 1 / 256) continue;
    const top = middle - scaled(high) * (middle - 2);
    pen.fillRect(
      pixel / ratio,
      top,
      1 / ratio,
      Math.max(1 / ratio, middle - scaled(low) * (middle - 2) - top),
    );
  }
}

export function drawRuler(canvas, view, palette) {
  const { pen, width, height } = prepared(canvas);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (const tick of ticks(view, width)) {
    const place = Math.round(pixelsAt(view, width, tick.at)) + 0.5;
    pen.fillStyle = palette.line;
    pen.fillRect(place - 0.5, height - 6, 1, 6);
    pen.fillStyle = palette.ink;
    if (place + 4 + pen.measureText(tick.label).width < width)
      pen.fillText(tick.label, place + 4, height / 2);
  }
}

/** Draws all tracks below each other, and a frame around the visible part. */
export function drawOverview(canvas, duration, view, tracks, palette) {
  const { pen, width, height, ratio } = prepared(canvas);
  const all = { start: 0, end: Math.max(duration, 0.001) };
  const pixels = Math.round(width * ratio);
  const row = height / Math.max(1, tracks.length);
  tracks.forEach(({ track, overview }, index) => {
    const middle = row * (index + 0.5);
    drawGaps(pen, gapMarks(all, width, track.gaps), { top: row * index, height: row }, palette.gap);
    if (!overview) return;
    const found = columns(all, pixels, overview);
    pen.fillStyle = palette.wave;
    for (let pixel = 0; pixel < pixels; pixel += 1) {
      const reach = Math.max(Math.abs(found[2 * pixel]), Math.abs(found[2 * pixel + 1]));
      if (reach > 1 / 256)
        pen.fillRect(
          pixel / ratio,
          middle - scaled(reach) * (row / 2),
          1 / ratio,
          scaled(reach) * row,
        );
    }
  });
  pen.strokeStyle = palette.ink;
  pen.lineWidth = 1.5;
  const from = pixelsAt(all, width, view.start);
  pen.strokeRect(
    from + 0.75,
    0.75,
    Math.max(3, pixelsAt(all, width, view.end) - from - 1.5),
    height - 1.5,
  );
}

/**
 * Returns the tooltip at a position of a lane: the offset, and the gaps there.
 * @param perPixel seconds
 */
export function tooltipOf(track, seconds, perPixel) {
  const gaps = gapText(track.gaps, seconds, perPixel);
  const states = spansAt(track.states, seconds, perPixel);
  return [offset(seconds, 1), gaps, states].filter(Boolean).join(" · ");
}

/** Scales by the square root, so that quiet speech stays visible. */
function scaled(amplitude) {
  return Math.sign(amplitude) * Math.sqrt(Math.abs(amplitude));
}

/** Draws wide gaps hatched, and narrow ones as a strip: the darker, the more is missing. */
function drawGaps(pen, { wide, shares }, { top, height }, colour) {
  for (const { from, to } of wide) hatch(pen, from, to, height, colour, top);
  const strip = Math.min(STRIP_PIXELS, height / 4);
  pen.fillStyle = colour;
  shares.forEach((share, pixel) => {
    if (share === 0) return;
    pen.globalAlpha = 0.4 + 0.6 * share;
    pen.fillRect(pixel, top + height - strip, 1, strip);
  });
  pen.globalAlpha = 1;
}

function hatch(pen, left, right, height, colour, top) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, right - left, height);
  pen.clip();
  pen.globalAlpha = 0.16;
  pen.fillStyle = colour;
  pen.fillRect(left, top, right - left, height);
  pen.globalAlpha = 0.75;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (let place = left - height - (left % HATCH_PIXELS); place < right; place += HATCH_PIXELS) {
    pen.moveTo(place, top + height);
    pen.lineTo(place + height, top);
  }
  pen.stroke();
  pen.restore();
}
