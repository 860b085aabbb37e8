// Packs a batch's values so that SQLite can take them apart itself: the host then makes no object
// for each of them.

import {
  append,
  bare,
  Bytes,
  encodeText,
  isSafeInteger,
  repeat,
  stringifyJson,
} from "./primordials.ts";

/** How the bytes of a batch's values are to be read. */
export interface Form {
  /** codes: one byte a value, an index into `values`; texts, integers: `width` bytes a value,
   * padded with spaces; json: an array. */
  form: "codes" | "texts" | "integers" | "json";
  values?: unknown[];
  width?: number;
}

export interface Packed {
  form: Form;
  bytes: Uint8Array;
}

const MOST_CODES = 255;
const WIDEST = 512;

/** The values, in the form that costs the host least. */
export function pack(values: unknown[]): Packed {
  return packCodes(values) ?? packTexts(values) ?? packIntegers(values) ??
    { form: bare({ form: "json" }), bytes: encodeText(stringifyJson(values)) };
}

/** One byte a value, where few differ. */
function packCodes(values: unknown[]): Packed | null {
  const texts: Record<string, number> = bare({});
  const numbers: Record<string, number> = bare({});
  let nothing = -1;
  const distinct: unknown[] = bare([]);
  const bytes = new Bytes(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    let code: number | undefined;
    if (typeof value === "string") {
      code = texts[value];
      if (code === undefined) code = texts[value] = distinct.length;
    } else if (typeof value === "number") {
      code = numbers[value];
      if (code === undefined) code = numbers[value] = distinct.length;
    } else if (value === null) {
      if (nothing < 0) nothing = distinct.length;
      code = nothing;
    } else return null;
    if (code === distinct.length) {
      if (code === MOST_CODES) return null;
      append(distinct, value);
    }
    bytes[i] = code;
  }
  return { form: bare({ form: "codes", values: distinct }), bytes };
}

/** Every value as wide as the widest, where all are ASCII and of similar length. */
function packTexts(values: unknown[]): Packed | null {
  let width = 1;
  let length = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== "string") return null;
    if (value.length > width) width = value.length;
    length += value.length;
  }
  const packed = padded("texts", values as string[], width, length);
  return packed === null || endsInSpace(packed.bytes, values as string[], width) ? null : packed;
}

/** Whether padding could not be told from a text. Looked for in the bytes: to read a character of
 * a text that was put together, JavaScript copies all of its parts first. */
function endsInSpace(bytes: Uint8Array, texts: string[], width: number): boolean {
  for (let i = 0, before = -1; i < texts.length; i++, before += width) {
    if (texts[i].length > 0 && bytes[before + texts[i].length] === 32) return true;
  }
  return false;
}

function packIntegers(values: unknown[]): Packed | null {
  const texts: string[] = bare([]);
  let width = 1;
  let length = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!isSafeInteger(value)) return null;
    const text = `${value as number}`;
    texts[i] = text;
    if (text.length > width) width = text.length;
    length += text.length;
  }
  return padded("integers", texts, width, length);
}

function padded(
  form: "texts" | "integers",
  texts: string[],
  width: number,
  length: number,
): Packed | null {
  if (width > WIDEST || width * texts.length > 4 * length + 64) return null;
  const pads: string[] = bare([]);
  for (let i = 0; i <= width; i++) pads[i] = repeat(" ", i);
  let all = "";
  for (let i = 0; i < texts.length; i++) all += texts[i] + pads[width - texts[i].length];
  const bytes = encodeText(all);
  return bytes.length === all.length ? { form: bare({ form, width }), bytes } : null;
}
