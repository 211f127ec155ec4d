// Which rows stand where. While somebody reads, nothing moves: new calls wait, ended ones keep their place. PURE.

/**
 * @param {string[]} shown ids of the rows in their places @param {string[]} wanted ids as they are chosen and sorted
 * @returns {{ids: string[], waiting: number}} the rows to show, and how many calls wait until nobody reads
 */
export function arrange(shown, wanted, isReading) {
  if (!isReading || shown.length === 0) return { ids: wanted, waiting: 0 };
  const known = new Set(shown);
  return { ids: shown, waiting: wanted.filter((id) => !known.has(id)).length };
}
