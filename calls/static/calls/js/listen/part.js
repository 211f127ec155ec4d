// Binary message of the listening socket: a header of 32 bytes, then PCM (docs/listening.md).

export const HEADER_BYTES = 32;
export const VERSION = 1;

/**
 * Parses to {id, rate, at, age, samples}: `at` in seconds of ACS's clock, `age` in seconds; null if
 * invalid.
 */
export function readPart(buffer) {
  if (buffer.byteLength < HEADER_BYTES) return null;
  const header = new DataView(buffer);
  const rate = header.getUint32(4, true);
  if (header.getUint8(0) !== VERSION || rate === 0) return null;
  const count = (buffer.byteLength - HEADER_BYTES) >> 1;
  const samples = new Float32Array(count);
  for (let index = 0; index < count; index += 1) {
    samples[index] = header.getInt16(HEADER_BYTES + 2 * index, true) / 32768;
  }
  return {
    id: uuidOf(new Uint8Array(buffer, 16, 16)),
    rate,
    at: Number(header.getBigUint64(8, true)) / 1e6,
    age: header.getUint16(2, true) / 1000,
    samples,
  };
}

function uuidOf(bytes) {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
