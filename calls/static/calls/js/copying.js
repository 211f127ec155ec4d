// Buttons that copy what they stand beside: <button data-copy="…">. One listener for a page, also for what comes later.

const SAID_MS = 1_600;

async function copy(button) {
  const before = button.textContent;
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    said = "Not allowed"; // by the browser: no HTTPS, or no permission
  }
  if (button.dataset.said) return; // pressed twice
  button.dataset.said = said;
  button.textContent = said;
  setTimeout(() => {
    button.textContent = before;
    delete button.dataset.said;
  }, SAID_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) void copy(button);
});
