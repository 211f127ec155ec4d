// Fake browser for both sockets of the pages: the test answers its connections and moves its clock.

export class FakeBrowser {
  now = 0;
  timers = new Map();
  sockets = [];
  events = [];

  open() {
    const socket = { close: () => (socket.isClosed = true) };
    this.sockets.push(socket);
    return socket;
  }

  schedule(callback, ms) {
    const timer = Symbol("timer");
    this.timers.set(timer, { callback, at: this.now + ms });
    return timer;
  }

  cancel(timer) {
    this.timers.delete(timer);
  }

  random() {
    return 0;
  }

  pass(ms) {
    this.now += ms;
    for (const [timer, { callback, at }] of [...this.timers]) {
      if (at <= this.now && this.timers.delete(timer)) callback();
    }
  }

  get newest() {
    return this.sockets.at(-1);
  }
}
