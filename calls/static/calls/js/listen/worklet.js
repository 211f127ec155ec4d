// The mixer on the thread of the sound card. In: {part}, {id, gain}. Out, some times a second: {delay}.

import { Mixer } from "./mixer.js";

const TELL_SECONDS = 0.5;

class Listening extends AudioWorkletProcessor {
  #mixer = new Mixer(sampleRate);
  #toldAt = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.part) this.#mixer.put(data.part);
      else this.#mixer.setGain(data.id, data.gain);
    };
  }

  process(_inputs, [[output]]) {
    this.#mixer.read(output);
    if (currentTime - this.#toldAt > TELL_SECONDS) {
      this.#toldAt = currentTime;
      this.port.postMessage({ delay: this.#mixer.delay });
    }
    return true;
  }
}

registerProcessor("listening", Listening);
