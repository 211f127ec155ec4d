// Order of the rows. While someone is reading, nothing moves: new calls wait and ended ones keep
// their place. PURE.

/**
 * @param {string[]} shown ids of the present rows @param {string[]} wanted filtered and sorted ids
 * @returns {{ids: string[], waiting: number}} rows to show, and the number of new calls held back
 */
export function arrange(shown, wanted, isReading) {
  if (!isReading || shown.length === 0) return { ids: wanted, waiting: 0 };
  const known = new Set(shown);
  return { ids: shown, waiting: wanted.filter((id) => !known.has(id)).length };
}
