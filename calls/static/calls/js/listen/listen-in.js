// <listen-in data-call data-worklet>: plays a live call, with mute and solo for each participant.
// It reconnects by itself and keeps these settings. Each change of state dispatches a "listening"
// event with `state`, and `isOver` if it was not the user who stopped.

import { ListenSocket } from "./listen-socket.js";
import { readPart } from "./part.js";
import { sound } from "../one-sound.js";
import { Voices } from "./voices.js";

const QUIET_MS = 3000;
const WAITING = "Waiting for audio…";
const OTHER = "Stopped, because other audio is playing.";

class ListenIn extends HTMLElement {
  #voices = new Voices();
  #ids = new Set();
  #context = null;
  #node = null;
  #gain = null;
  #socket = null;
  #receivedAt = 0;
  #offline = () => this.#socket?.drop();
  #online = () => this.#socket?.retryNow();

  connectedCallback() {
    sound.join(this, () => this.#context && this.#stop(OTHER, true));
    this.#part("toggle").addEventListener("click", () =>
      this.#context ? this.stop() : this.#start(),
    );
    this.#part("volume").addEventListener("input", () => this.#setVolume());
    this.#part("voices").addEventListener("click", (event) =>
      this.#toggleGain(event.target.closest("button")),
    );
    window.addEventListener("offline", this.#offline);
    window.addEventListener("online", this.#online);
  }

  disconnectedCallback() {
    sound.leave(this);
    window.removeEventListener("offline", this.#offline);
    window.removeEventListener("online", this.#online);
    this.stop();
  }

  /** The last audio node before the loudspeakers; used by tests. */
  get output() {
    return this.#gain;
  }

  /** Id of the call that is played or being connected; "" if none. */
  get listensTo() {
    return this.#context ? this.dataset.call : "";
  }

  /** Call it from a user event: otherwise the browser plays no sound. */
  listenTo(call) {
    if (this.#context) this.#stop("Stopped.", true); // switches to another call
    this.dataset.call = call;
    void this.#start();
  }

  stop() {
    this.#stop("Stopped.");
  }

  async #start() {
    sound.begin(this);
    const context = new AudioContext({ latencyHint: "interactive" });
    this.#context = context;
    this.#show("connecting", "Connecting…");
    try {
      await context.audioWorklet.addModule(this.dataset.worklet);
      await context.resume();
    } catch {
      if (this.#context === context)
        this.#stop("This browser does not allow the page to play sound.", true);
      return;
    }
    if (this.#context !== context) return; // stopped meanwhile
    this.#node = new AudioWorkletNode(context, "listening", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.#gain = new GainNode(context);
    this.#node.connect(this.#gain).connect(context.destination);
    this.#node.port.onmessage = ({ data }) => this.#showDelay(data.delay);
    this.#setVolume();
    this.#open();
  }

  #open() {
    this.#socket = new ListenSocket(
      {
        open: () => this.#newSocket(),
        fetchCall: () => this.#fetchCall(),
        schedule: (callback, ms) => setTimeout(callback, ms),
        cancel: (timer) => clearTimeout(timer),
        random: Math.random,
      },
      {
        opened: () => this.#show("on", WAITING),
        message: (message) => this.#receive(message),
        retrying: (text) => this.#show("broken", text),
        ended: (text) => this.#stop(text, true),
      },
    );
    this.#socket.open();
  }

  #of(address) {
    return address.replace("CALL", this.dataset.call);
  }

  #newSocket() {
    const address = new URL(this.#of(this.dataset.socket), location.href);
    address.protocol = location.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    return socket;
  }

  async #fetchCall() {
    try {
      const answer = await fetch(this.#of(this.dataset.rest), { redirect: "error" });
      return { status: answer.status, state: answer.ok ? (await answer.json()).state : null };
    } catch {
      return { status: 0, state: null };
    }
  }

  #receive(message) {
    if (!this.#node) return;
    if (typeof message === "string") {
      const { type, id, label } = JSON.parse(message);
      if (type === "voice") this.#addVoice(id, label);
      return;
    }
    const part = readPart(message);
    if (!part) return;
    this.#receivedAt = performance.now();
    this.#node.port.postMessage({ part }, [part.samples.buffer]);
  }

  #addVoice(id, label) {
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    const line = this.#part("voice").content.firstElementChild.cloneNode(true);
    line.dataset.voice = id;
    line.querySelector("[data-part=name]").textContent = label;
    for (const button of line.querySelectorAll("button"))
      button.setAttribute("aria-label", `${button.textContent} ${label}`);
    this.#part("voices").append(line);
    this.#applyGains();
  }

  #toggleGain(button) {
    if (!button) return;
    const { voice } = button.closest("[data-voice]").dataset;
    if (button.dataset.do === "mute") this.#voices.toggleMute(voice);
    else this.#voices.toggleSolo(voice);
    this.#applyGains();
  }

  #applyGains() {
    for (const line of this.#part("voices").children) {
      const id = line.dataset.voice;
      line.querySelector("[data-do=mute]").setAttribute("aria-pressed", this.#voices.isMuted(id));
      line.querySelector("[data-do=solo]").setAttribute("aria-pressed", this.#voices.isSolo(id));
      this.#node?.port.postMessage({ id, gain: this.#voices.gainOf(id) });
    }
  }

  #setVolume() {
    if (this.#gain) this.#gain.gain.value = Number(this.#part("volume").value);
  }

  #showDelay(delay) {
    if (delay === null || !this.#context || this.dataset.state !== "on") return;
    const isQuiet = performance.now() - this.#receivedAt > QUIET_MS;
    const seconds = delay + (this.#context.outputLatency || this.#context.baseLatency);
    this.#setText(isQuiet ? WAITING : "Listening.");
    this.#part("delay").textContent = isQuiet ? "" : `${seconds.toFixed(1)} s behind`;
    this.dataset.delay = isQuiet ? "" : seconds.toFixed(3);
  }

  #stop(text, isOver = false) {
    const [context, socket] = [this.#context, this.#socket];
    [this.#context, this.#socket, this.#node, this.#gain] = [null, null, null, null];
    socket?.close();
    context?.close();
    this.#ids.clear();
    this.#voices = new Voices();
    this.#part("voices").replaceChildren();
    this.#show("off", text, isOver);
  }

  #show(state, text, isOver = false) {
    this.dataset.state = state;
    this.#part("toggle").textContent = state === "off" ? "Listen in" : "Stop listening";
    this.#part("toggle").setAttribute("aria-pressed", state !== "off");
    this.#part("volume-field").hidden = state === "off";
    if (state !== "on") this.#part("delay").textContent = "";
    this.#setText(text);
    this.dispatchEvent(new CustomEvent("listening", { detail: { state, isOver } }));
  }

  #setText(text) {
    const state = this.#part("state");
    // Only if it differs: a screen reader reads each change.
    if (state.textContent !== text) state.textContent = text;
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }
}

customElements.define("listen-in", ListenIn);
