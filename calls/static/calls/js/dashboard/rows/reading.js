// Whether somebody reads the rows just now: then nothing moves below the eyes.

const POINTER_MS = 10_000; // a pointer that was left lying on the list is no reader
const LEFT_MS = 3000;
const KEYS_MS = 20_000;
const SCROLLED_PX = 40;

export class Reading {
  #until = 0;
  #wasReading = false;

  /** @param list the rows @param over called when nobody reads any more */
  constructor(list, over) {
    Object.assign(this, { list, over });
    list.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#for(POINTER_MS));
    list.addEventListener("pointerleave", () => this.#left());
    list.addEventListener("focusin", () => this.#for(KEYS_MS));
    window.addEventListener("scroll", () => this.look(), { passive: true });
  }

  get isOn() {
    return performance.now() < this.#until || window.scrollY > SCROLLED_PX;
  }

  /** Also once a second: time alone ends it. */
  look() {
    const { isOn } = this;
    if (this.#wasReading && !isOn) this.over();
    this.#wasReading = isOn;
  }

  /** On the way to the button that counts new calls it must not vanish. */
  #left() {
    this.#until = Math.min(this.#until, performance.now() + LEFT_MS);
  }

  #for(milliseconds) {
    this.#until = performance.now() + milliseconds;
    this.#wasReading = true;
  }
}
