// Keyboard shortcuts of the timeline. PURE.

const PLAIN = {
  " ": ["play"],
  k: ["play"],
  ArrowLeft: ["step", -5],
  ArrowRight: ["step", 5],
  j: ["step", -10],
  l: ["step", 10],
  Home: ["go", 0],
  End: ["go", Infinity],
  "[": ["mark", -1],
  "]": ["mark", 1],
  "+": ["zoom", 0.5],
  "=": ["zoom", 0.5],
  "-": ["zoom", 2],
  0: ["fit"],
  "<": ["speed", -1],
  ">": ["speed", 1],
  Escape: ["clear"],
};
const SHIFTED = { ArrowLeft: ["step", -1], ArrowRight: ["step", 1] };

/** Returns [command, value] or null. `1` to `9` mute a lane, with alt they solo it. */
export function commandOf({
  key,
  code = "",
  shiftKey = false,
  altKey = false,
  ctrlKey = false,
  metaKey = false,
}) {
  if (ctrlKey || metaKey) return null;
  const digit = /^Digit([1-9])$/.exec(code)?.[1];
  if (digit && !shiftKey) return [altKey ? "solo" : "mute", Number(digit) - 1];
  if (altKey) return null;
  return (shiftKey && SHIFTED[key]) || PLAIN[key] || null;
}
