// Exponential backoff with jitter. PURE.

const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/**
 * Returns the milliseconds before attempt number `attempt` (from 0); `jitter` in [0, 1) spreads
 * reconnects.
 */
export function pause(attempt, jitter) {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return Math.round(longest * (0.5 + jitter / 2));
}
