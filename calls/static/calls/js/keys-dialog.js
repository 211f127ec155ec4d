// The dialog with the keys of this page: ? or a button with data-keys opens it.

const dialog = document.getElementById("keys");

function toggle() {
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

function isTyping(target) {
  const fields = "input:not([type=checkbox], [type=range]), select, textarea, [contenteditable]";
  return target instanceof Element && target.closest(fields) !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target)) return;
  event.preventDefault();
  toggle();
});
// While it is open, keys of the page have no effect, and Escape closes it.
dialog.addEventListener("keydown", (event) => event.key === "?" || event.stopPropagation());
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) toggle();
  // The backdrop belongs to the dialog.
  if (event.target === dialog) dialog.close();
});
dialog.querySelector("[data-part=close]").addEventListener("click", () => dialog.close());
