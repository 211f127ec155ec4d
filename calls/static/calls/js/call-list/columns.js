// Which columns of the list are hidden, as the browser keeps them. PURE.

export const COLUMNS = Object.freeze(["state", "began", "length", "trouble", "id"]);

/** Hidden columns in the order of the list. @param {string | null} text what was kept; what is unknown is not hidden */
export function read(text) {
  const given = new Set((text ?? "").split(" "));
  return COLUMNS.filter((name) => given.has(name));
}

/** What is to be kept, "" where all are shown. */
export function written(hidden) {
  return read(hidden.join(" ")).join(" ");
}

/** The same with one column shown or hidden. */
export function changed(hidden, name, isShown) {
  const others = hidden.filter((each) => each !== name);
  return read((isShown ? others : [...others, name]).join(" "));
}
