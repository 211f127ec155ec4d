// How long to wait before the next attempt. PURE.

const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/** Milliseconds before attempt number `attempt` (from 0); `chance` in [0, 1) spreads the browsers of a restart. */
export function pause(attempt, chance) {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return Math.round(longest * (0.5 + chance / 2));
}
