// AudioWorklet around the mixer. Receives {part} and {id, gain}; sends {delay} twice a second.

import { Mixer } from "./mixer.js";

const REPORT_SECONDS = 0.5;

class Listening extends AudioWorkletProcessor {
  #mixer = new Mixer(sampleRate);
  #reportedAt = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.part) this.#mixer.put(data.part);
      else this.#mixer.setGain(data.id, data.gain);
    };
  }

  process(_inputs, [[output]]) {
    this.#mixer.read(output);
    if (currentTime - this.#reportedAt > REPORT_SECONDS) {
      this.#reportedAt = currentTime;
      this.port.postMessage({ delay: this.#mixer.delay });
    }
    return true;
  }
}

registerProcessor("listening", Listening);
