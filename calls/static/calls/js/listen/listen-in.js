// <listen-in data-call data-worklet>: a button that lets one hear a live call, and who of it. A connection that breaks is
// made again, and what one has chosen stays. Whenever its state changes it says so by an event: "listening", with `state`
// and whether it is over although nobody has stopped it.

import { ListenSocket } from "./listen-socket.js";
import { readPart } from "./part.js";
import { Voices } from "./voices.js";

const QUIET_MS = 3000;
const WAITING = "Waiting for audio…";

class ListenIn extends HTMLElement {
  #voices = new Voices();
  #ids = new Set();
  #context = null;
  #node = null;
  #gain = null;
  #socket = null;
  #heardAt = 0;
  #offline = () => this.#socket?.drop();
  #online = () => this.#socket?.hurry();

  connectedCallback() {
    this.#part("toggle").addEventListener("click", () => (this.#context ? this.stop() : this.#start()));
    this.#part("volume").addEventListener("input", () => this.#setVolume());
    this.#part("voices").addEventListener("click", (event) => this.#choose(event.target.closest("button")));
    window.addEventListener("offline", this.#offline);
    window.addEventListener("online", this.#online);
  }

  disconnectedCallback() {
    window.removeEventListener("offline", this.#offline);
    window.removeEventListener("online", this.#online);
    this.stop();
  }

  /** What goes to the loudspeakers; tests look at it. */
  get output() {
    return this.#gain;
  }

  /** Id of the call that is heard, or is about to be; "" where none is. */
  get listensTo() {
    return this.#context ? this.dataset.call : "";
  }

  /** To be called by what a user does: else a browser gives no sound. */
  listenTo(call) {
    if (this.#context) this.#stop("Stopped.", true); // one goes, another one comes
    this.dataset.call = call;
    void this.#start();
  }

  stop() {
    this.#stop("Stopped.");
  }

  async #start() {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.#context = context;
    this.#show("connecting", "Connecting…");
    try {
      await context.audioWorklet.addModule(this.dataset.worklet);
      await context.resume();
    } catch {
      if (this.#context === context) this.#stop("This browser does not let the page play sound.", true);
      return;
    }
    if (this.#context !== context) return; // stopped meanwhile
    this.#node = new AudioWorkletNode(context, "listening", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#gain = new GainNode(context);
    this.#node.connect(this.#gain).connect(context.destination);
    this.#node.port.onmessage = ({ data }) => this.#tellDelay(data.delay);
    this.#setVolume();
    this.#open();
  }

  #open() {
    this.#socket = new ListenSocket(
      {
        open: () => this.#newSocket(),
        look: () => this.#look(),
        later: (callback, ms) => setTimeout(callback, ms),
        never: (timer) => clearTimeout(timer),
        chance: Math.random,
      },
      {
        opened: () => this.#show("on", WAITING),
        message: (message) => this.#take(message),
        broken: (words) => this.#show("broken", words),
        over: (words) => this.#stop(words, true),
      },
    );
    this.#socket.open();
  }

  #newSocket() {
    const address = new URL(`/ws/listen/${this.dataset.call}`, location.href);
    address.protocol = location.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    return socket;
  }

  async #look() {
    try {
      const answer = await fetch(`/api/v1/calls/${this.dataset.call}/`, { redirect: "error" });
      return { status: answer.status, state: answer.ok ? (await answer.json()).state : null };
    } catch {
      return { status: 0, state: null };
    }
  }

  #take(message) {
    if (!this.#node) return;
    if (typeof message === "string") {
      const { type, id, label } = JSON.parse(message);
      if (type === "voice") this.#introduce(id, label);
      return;
    }
    const part = readPart(message);
    if (!part) return;
    this.#heardAt = performance.now();
    this.#node.port.postMessage({ part }, [part.samples.buffer]);
  }

  #introduce(id, label) {
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    const line = this.#part("voice").content.firstElementChild.cloneNode(true);
    line.dataset.voice = id;
    line.querySelector("[data-part=name]").textContent = label;
    for (const button of line.querySelectorAll("button")) button.setAttribute("aria-label", `${button.textContent} ${label}`);
    this.#part("voices").append(line);
    this.#applyGains();
  }

  #choose(button) {
    if (!button) return;
    const { voice } = button.closest("[data-voice]").dataset;
    if (button.dataset.do === "mute") this.#voices.toggleMute(voice);
    else this.#voices.toggleOnly(voice);
    this.#applyGains();
  }

  #applyGains() {
    for (const line of this.#part("voices").children) {
      const id = line.dataset.voice;
      line.querySelector("[data-do=mute]").setAttribute("aria-pressed", this.#voices.isMuted(id));
      line.querySelector("[data-do=only]").setAttribute("aria-pressed", this.#voices.isOnly(id));
      this.#node?.port.postMessage({ id, gain: this.#voices.gainOf(id) });
    }
  }

  #setVolume() {
    if (this.#gain) this.#gain.gain.value = Number(this.#part("volume").value);
  }

  #tellDelay(delay) {
    if (delay === null || !this.#context || this.dataset.state !== "on") return;
    const isQuiet = performance.now() - this.#heardAt > QUIET_MS;
    const seconds = delay + (this.#context.outputLatency || this.#context.baseLatency);
    this.#say(isQuiet ? WAITING : "Listening. It is in the ledger of the call.");
    this.#part("delay").textContent = isQuiet ? "" : `${seconds.toFixed(1)} s behind`;
    this.dataset.delay = isQuiet ? "" : seconds.toFixed(3);
  }

  #stop(words, isOver = false) {
    const [context, socket] = [this.#context, this.#socket];
    [this.#context, this.#socket, this.#node, this.#gain] = [null, null, null, null];
    socket?.close();
    context?.close();
    this.#ids.clear();
    this.#voices = new Voices();
    this.#part("voices").replaceChildren();
    this.#show("off", words, isOver);
  }

  #show(state, words, isOver = false) {
    this.dataset.state = state;
    this.#part("toggle").textContent = state === "off" ? "Listen in" : "Stop listening";
    this.#part("toggle").setAttribute("aria-pressed", state !== "off");
    this.#part("volume-field").hidden = state === "off";
    if (state !== "on") this.#part("delay").textContent = "";
    this.#say(words);
    this.dispatchEvent(new CustomEvent("listening", { detail: { state, isOver } }));
  }

  #say(words) {
    const state = this.#part("state");
    if (state.textContent !== words) state.textContent = words; // a screen reader says each change once
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }
}

customElements.define("listen-in", ListenIn);
