// Detects that someone is reading the rows, so that they do not move. On a phone nothing shows
// where the reader looks: rows move on request only.

const POINTER_MS = 10_000; // a pointer left on the list does not count longer
const LEFT_MS = 3000;
const KEYS_MS = 20_000;
const SCROLLED_PX = 40;

export class Reading {
  #until = 0;
  #wasReading = false;
  #narrow = window.matchMedia("(max-width: 900px)"); // as in call-row.css

  /**
   * @param list parent of the rows @param ended called when reading has ended
   * @param scroll what scrolls the rows, and whether it has been scrolled; default: the window
   */
  constructor(list, ended, { scroller = window, isScrolled = () => scrollY > SCROLLED_PX } = {}) {
    Object.assign(this, { list, ended, isScrolled });
    list.addEventListener(
      "pointermove",
      (event) => event.pointerType === "mouse" && this.#extend(POINTER_MS),
    );
    list.addEventListener("pointerleave", () => this.#pointerLeft());
    list.addEventListener("focusin", () => this.#extend(KEYS_MS));
    scroller.addEventListener("scroll", () => this.update(), { passive: true });
  }

  /** Whether rows move on request only. */
  get isAlwaysOn() {
    return this.#narrow.matches;
  }

  get isOn() {
    return performance.now() < this.#until || this.isScrolled() || this.isAlwaysOn;
  }

  /** To be called once a second as well, because reading ends with time. */
  update() {
    const { isOn } = this;
    if (this.#wasReading && !isOn) this.ended();
    this.#wasReading = isOn;
  }

  /** Keeps the button "new calls" visible while the pointer moves to it. */
  #pointerLeft() {
    this.#until = Math.min(this.#until, performance.now() + LEFT_MS);
  }

  #extend(milliseconds) {
    this.#until = performance.now() + milliseconds;
    this.#wasReading = true;
  }
}
