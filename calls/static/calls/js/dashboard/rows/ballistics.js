// Meter ballistics. PURE: the time (milliseconds, any zero) is an argument.
//
// Levels arrive ten times a second. The bar glides from one to the next; the peak marker holds,
// then falls; without new levels the bar falls to silence.

export const SILENCE = -96;
export const FLOOR = -60; // left end of the scale, dBFS
export const GLIDE_MS = 90;
export const HOLD_MS = 1500;
export const FALL_DB_PER_SECOND = 24;
export const STALE_MS = 600;

export const quiet = Object.freeze({
  from: SILENCE,
  rms: SILENCE,
  at: -Infinity,
  peak: SILENCE,
  peakAt: -Infinity,
});

/** Returns the meter after a level at `now`. */
export function withLevel(meter, rms, peak, now) {
  const held = peakOf(meter, now);
  return {
    from: rmsOf(meter, now),
    rms,
    at: now,
    peak: peak >= held ? peak : meter.peak,
    peakAt: peak >= held ? now : meter.peakAt,
  };
}

/** Level of the bar at `now`, dBFS. */
export function rmsOf(meter, now) {
  const age = now - meter.at;
  if (age > STALE_MS) return fall(meter.rms, age - STALE_MS);
  const progress = Math.min(1, Math.max(0, age / GLIDE_MS));
  return meter.from + (meter.rms - meter.from) * progress;
}

/** Level of the peak marker at `now`, dBFS. */
export function peakOf(meter, now) {
  return fall(meter.peak, now - meter.peakAt - HOLD_MS);
}

export function isStill(meter, now) {
  return rmsOf(meter, now) <= FLOOR && peakOf(meter, now) <= FLOOR && now - meter.at > GLIDE_MS;
}

/** Position of a level on the scale, 0 to 1. */
export function fraction(dbfs) {
  return Math.min(1, Math.max(0, (dbfs - FLOOR) / -FLOOR));
}

function fall(dbfs, milliseconds) {
  return Math.max(SILENCE, dbfs - (Math.max(0, milliseconds) / 1000) * FALL_DB_PER_SECOND);
}
