// Who is heard: muted ones, and the one that alone is. Knows no page.

export class Voices {
  #muted = new Set();
  #only = null;

  toggleMute(id) {
    if (!this.#muted.delete(id)) this.#muted.add(id);
  }

  toggleOnly(id) {
    this.#only = this.#only === id ? null : id;
  }

  isMuted(id) {
    return this.#muted.has(id);
  }

  isOnly(id) {
    return this.#only === id;
  }

  gainOf(id) {
    if (this.#only !== null) return this.#only === id ? 1 : 0;
    return this.#muted.has(id) ? 0 : 1;
  }
}
