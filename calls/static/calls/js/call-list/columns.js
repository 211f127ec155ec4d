// Hidden columns of the list, as stored in the browser. PURE.

export const COLUMNS = Object.freeze(["state", "began", "length", "trouble", "id"]);

/** Parses the stored text (or null) to hidden columns in list order; unknown names are ignored. */
export function read(text) {
  const given = new Set((text ?? "").split(" "));
  return COLUMNS.filter((name) => given.has(name));
}

/** Returns the text to store, "" if all columns are visible. */
export function written(hidden) {
  return read(hidden.join(" ")).join(" ");
}

/** Returns the hidden columns after showing or hiding one. */
export function changed(hidden, name, isShown) {
  const others = hidden.filter((each) => each !== name);
  return read((isShown ? others : [...others, name]).join(" "));
}
