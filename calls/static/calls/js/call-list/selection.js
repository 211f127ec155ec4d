// Selected calls among the visible ones. PURE.

/**
 * Returns the ids from `anchor` to `id`, inclusive, in either direction; only `id` if the anchor is
 * not visible.
 */
export function between(shown, anchor, id) {
  const [from, to] = [shown.indexOf(anchor), shown.indexOf(id)];
  if (to < 0) return [];
  return from < 0 ? [id] : shown.slice(Math.min(from, to), Math.max(from, to) + 1);
}

/** Returns the part of the selection that is still visible: hidden calls must not be downloaded. */
export function retained(selected, shown) {
  const visible = new Set(shown);
  return selected.filter((id) => visible.has(id));
}

/** Returns "none", "some" or "all" of the visible calls. */
export function extent(count, shown) {
  if (count === 0) return "none";
  return count < shown ? "some" : "all";
}

/** Returns the same as text; "None selected" is also the tooltip of the disabled button. */
export function summary(count, shown) {
  return count === 0 ? "None selected" : `${count} of ${shown} selected`;
}
