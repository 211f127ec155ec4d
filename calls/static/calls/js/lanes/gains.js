// Who is heard: mute and solo as on a mixing desk. PURE.

/** 1 or 0 for each lane: with a solo anywhere only those, else all that are not mute. */
export function gainsOf(lanes) {
  const alone = lanes.some((lane) => lane.isSolo);
  return lanes.map((lane) => ((alone ? lane.isSolo : !lane.isMute) ? 1 : 0));
}

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export function speedBeside(speed, step) {
  const place = SPEEDS.indexOf(speed);
  return SPEEDS[Math.min(Math.max(place + step, 0), SPEEDS.length - 1)];
}
