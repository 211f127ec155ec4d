// Pointer capture: one drag, from its pointerdown to its end.

/** Calls `moved(event)` for each move of a captured pointer, then `ended(event)` once. */
export function trackPointer(element, event, { moved, ended = () => {} }) {
  element.setPointerCapture(event.pointerId);
  element.addEventListener("pointermove", moved);
  const end = (last) => {
    element.removeEventListener("pointermove", moved);
    ended(last);
  };
  for (const name of ["pointerup", "pointercancel"]) {
    element.addEventListener(name, end, { once: true });
  }
}
