// Mute and solo of the participants in a live call. Independent of the page.

export class Voices {
  #muted = new Set();
  #solo = null;

  toggleMute(id) {
    if (!this.#muted.delete(id)) this.#muted.add(id);
  }

  toggleSolo(id) {
    this.#solo = this.#solo === id ? null : id;
  }

  isMuted(id) {
    return this.#muted.has(id);
  }

  isSolo(id) {
    return this.#solo === id;
  }

  gainOf(id) {
    if (this.#solo !== null) return this.#solo === id ? 1 : 0;
    return this.#muted.has(id) ? 0 : 1;
  }
}
