// Mute and solo, as on a mixing desk, and playback speeds. PURE.

/**
 * Returns 1 or 0 for each lane: only the solo lanes if there are any, else all that are not muted.
 */
export function gainsOf(lanes) {
  const hasSolo = lanes.some((lane) => lane.isSolo);
  return lanes.map((lane) => ((hasSolo ? lane.isSolo : !lane.isMute) ? 1 : 0));
}

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export function speedBeside(speed, step) {
  const index = SPEEDS.indexOf(speed);
  return SPEEDS[Math.min(Math.max(index + step, 0), SPEEDS.length - 1)];
}
