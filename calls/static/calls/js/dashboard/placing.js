// Puts elements into an order without moving the one that has the focus: an element that is moved
// in the document loses it.

/**
 * Makes `wanted` the children of `parent`, in this order.
 * @param focused `document.activeElement`
 */
export function place(parent, wanted, focused) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  const still = wanted.find((child) => child.contains(focused));
  let next = parent.firstElementChild;
  for (const child of wanted) {
    if (child === still) {
      // What lies before it belongs after it.
      while (next !== child) {
        const moved = next;
        next = next.nextElementSibling;
        parent.append(moved);
      }
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}
