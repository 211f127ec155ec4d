// Copy buttons: <button data-copy="…">. One listener on the document, so that later buttons work
// too.

const RESULT_MS = 1_600;

async function copy(button) {
  const before = button.textContent;
  let result = "Copied";
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    result = "Not allowed"; // by the browser: no HTTPS, or no permission
  }
  if (button.dataset.result) return; // pressed twice
  button.dataset.result = result;
  button.textContent = result;
  setTimeout(() => {
    button.textContent = before;
    delete button.dataset.result;
  }, RESULT_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) void copy(button);
});
