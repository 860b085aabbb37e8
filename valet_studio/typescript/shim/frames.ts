// Frames on standard input and output: u32 big-endian length, one byte of kind, payload.

import { Bytes, encodeText, setBytes, stringifyJson, subarray, View } from "./primordials.ts";

const stdin = Deno.stdin;
const stdout = Deno.stdout;
const readSync = stdin.readSync.bind(stdin);
const writeSync = stdout.writeSync.bind(stdout);

export interface Frame {
  kind: number;
  payload: Uint8Array;
}

function readFully(length: number): Uint8Array | null {
  const bytes = new Bytes(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(subarray(bytes, filled));
    if (count === null) return null;
    filled += count;
  }
  return bytes;
}

/** The next frame, or null once the parent has closed its end. */
export function readFrame(): Frame | null {
  const head = readFully(5);
  if (head === null) return null;
  const length = (head[0] * 0x1000000) + (head[1] << 16) + (head[2] << 8) + head[3];
  const payload = readFully(length);
  return payload === null ? null : { kind: head[4], payload };
}

/** Write the parts as one frame. */
export function writeFrame(kind: string, first: Uint8Array, second?: Uint8Array): void {
  const length = first.length + (second === undefined ? 0 : second.length);
  const bytes = new Bytes(length + 5);
  const head = new View(bytes.buffer);
  head.setUint32(0, length);
  bytes[4] = encodeText(kind)[0];
  setBytes(bytes, first, 5);
  if (second !== undefined) setBytes(bytes, second, 5 + first.length);
  let written = 0;
  while (written < bytes.length) written += writeSync(subarray(bytes, written));
}

/** Write a tree that is already bare (see `bareTree`) as one frame of JSON. */
export function writeJson(kind: string, data: unknown): void {
  writeFrame(kind, encodeText(stringifyJson(data)));
}
