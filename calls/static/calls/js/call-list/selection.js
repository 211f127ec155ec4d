// Which of the calls that are shown are selected. PURE.

/** The ids from `anchor` to `id`, both included and in whichever direction; `id` alone where the anchor is not shown. */
export function between(shown, anchor, id) {
  const [from, to] = [shown.indexOf(anchor), shown.indexOf(id)];
  if (to < 0) return [];
  return from < 0 ? [id] : shown.slice(Math.min(from, to), Math.max(from, to) + 1);
}

/** What remains of a selection once other calls are shown: what is out of sight would be downloaded unseen. */
export function kept(selected, shown) {
  const there = new Set(shown);
  return selected.filter((id) => there.has(id));
}

/** "none", "some" or "all" of those that are shown. */
export function extent(count, shown) {
  if (count === 0) return "none";
  return count < shown ? "some" : "all";
}

/** The same in words, which are also the reason why nothing can be downloaded. */
export function said(count, shown) {
  return count === 0 ? "Nothing selected" : `${count} of ${shown} selected`;
}
