// How a meter moves between two levels. PURE: the present moment (milliseconds, any zero) is an argument.
//
// Levels come ten times a second. The bar glides from one to the next; the peak marker stays for a moment, then falls;
// where no level has come for a while, the bar falls to silence by itself.

export const SILENCE = -96;
export const FLOOR = -60; // left end of the scale, dBFS
export const GLIDE_MS = 90;
export const HOLD_MS = 1500;
export const FALL_DB_PER_SECOND = 24;
export const STALE_MS = 600;

export const quiet = Object.freeze({ from: SILENCE, rms: SILENCE, at: -Infinity, peak: SILENCE, peakAt: -Infinity });

/** The meter after a level [rms, peak] has come at `now`. */
export function hear(meter, rms, peak, now) {
  const held = peakOf(meter, now);
  return {
    from: rmsOf(meter, now),
    rms,
    at: now,
    peak: peak >= held ? peak : meter.peak,
    peakAt: peak >= held ? now : meter.peakAt,
  };
}

/** What the bar shows at `now`, dBFS. */
export function rmsOf(meter, now) {
  const age = now - meter.at;
  if (age > STALE_MS) return fall(meter.rms, age - STALE_MS);
  const way = Math.min(1, Math.max(0, age / GLIDE_MS));
  return meter.from + (meter.rms - meter.from) * way;
}

/** Where the peak marker stands at `now`, dBFS. */
export function peakOf(meter, now) {
  return fall(meter.peak, now - meter.peakAt - HOLD_MS);
}

export function isStill(meter, now) {
  return rmsOf(meter, now) <= FLOOR && peakOf(meter, now) <= FLOOR && now - meter.at > GLIDE_MS;
}

/** Place of a level on the scale, 0 to 1. */
export function fraction(dbfs) {
  return Math.min(1, Math.max(0, (dbfs - FLOOR) / -FLOOR));
}

function fall(dbfs, milliseconds) {
  return Math.max(SILENCE, dbfs - (Math.max(0, milliseconds) / 1000) * FALL_DB_PER_SECOND);
}
