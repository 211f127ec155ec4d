// What both sockets of the pages are played in: connections that a test answers, and time that passes when it says so.

export class World {
  now = 0;
  timers = new Map();
  sockets = [];
  heard = [];

  open() {
    const socket = { close: () => (socket.isClosed = true) };
    this.sockets.push(socket);
    return socket;
  }

  later(callback, ms) {
    const timer = Symbol("timer");
    this.timers.set(timer, { callback, at: this.now + ms });
    return timer;
  }

  never(timer) {
    this.timers.delete(timer);
  }

  chance() {
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
