// Formats of numbers, times and ids. PURE.

/** Formats seconds as a running clock: 0:07, 4:05, 1:02:09. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** Formats a level in dBFS as shown beside its meter; "silent" at or below the floor. */
export function level(dbfs, floor = -60) {
  if (!(dbfs > floor)) return "silent";
  return `${dbfs < -0.5 ? "−" : ""}${Math.abs(Math.round(dbfs))} dB`;
}

export function counted(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

/** Returns the last characters of an id, enough to tell two calls apart. */
export function shortId(text) {
  return text.length > 8 ? `…${text.slice(-8)}` : text;
}

/** Formats the time of day of an ISO 8601 time in the browser's zone: 14:03:09. */
export function timeOfDay(iso) {
  const moment = new Date(iso);
  return Number.isNaN(moment.getTime()) ? "" : moment.toTimeString().slice(0, 8);
}
