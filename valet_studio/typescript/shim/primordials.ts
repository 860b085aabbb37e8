// The parts of JavaScript that the host relies on, taken before the user's modules run: a
// schema.ts that patches a global cannot change what the host does.

export const parseJson = JSON.parse;
export const stringifyJson = JSON.stringify;
export const isArray = Array.isArray;
export const ownKeys = Object.keys;
export const prototypeOf = Object.getPrototypeOf;
export const setPrototype = Object.setPrototypeOf;
export const defineProperty = Object.defineProperty;
export const ObjectPrototype = Object.prototype;
export const makeFunction = Function;
export const wallClock = Date.now;
export const floor = Math.floor;
export const isInteger = Number.isInteger;
export const isSafeInteger = Number.isSafeInteger;
export const isFiniteNumber = Number.isFinite;
export const asText = String;
export const Bytes = Uint8Array;
export const Buffer = ArrayBuffer;
export const View = DataView;
export const PromiseClass = Promise;
export const AsyncFunctionClass = (async () => {}).constructor as FunctionConstructor;
export const ErrorClass = Error;

// `call.bind(method)` makes a function of a method, which no later patch can reach.
// deno-lint-ignore no-explicit-any
type Uncurried = (self: any, ...args: any[]) => any;
const bound = Function.prototype.bind;
const uncurry = (method: unknown): Uncurried => bound.call(Function.prototype.call, method);

export const isWellFormed: Uncurried = uncurry(String.prototype.isWellFormed);
export const slice: Uncurried = uncurry(String.prototype.slice);
export const repeat: Uncurried = uncurry(String.prototype.repeat);
export const join: Uncurried = uncurry(Array.prototype.join);
export const reverse: Uncurried = uncurry(Array.prototype.reverse);
export const numberToText: Uncurried = uncurry(Number.prototype.toString);
export const functionText: Uncurried = uncurry(Function.prototype.toString);
export const setBytes: Uncurried = uncurry(Uint8Array.prototype.set);
export const subarray: Uncurried = uncurry(Uint8Array.prototype.subarray);
const hasOwnProperty: Uncurried = uncurry(Object.prototype.hasOwnProperty);
export const hasOwn = (object: object, key: string): boolean => hasOwnProperty(object, key);

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();
export const encodeText = textEncoder.encode.bind(textEncoder);
export const decodeText = textDecoder.decode.bind(textDecoder);

/** A new object or array without inherited `toJSON`, setters or indexes. */
export function bare<T extends object>(value: T): T {
  return setPrototype(value, null);
}

/** A frame's data: the same tree, out of reach of a patched `toJSON`. */
export function bareTree<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  bare(value);
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length; i++) {
    bareTree((value as Record<string, unknown>)[keys[i]]);
  }
  return value;
}

/** Append without `push`, which a user may have patched. */
export function append<T>(list: T[], item: T): void {
  defineProperty(list, list.length, {
    value: item,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

/** A value in a sentence: short, on one line, whatever it is. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const text = stringifyJson(value);
      return text.length > 60 ? `${slice(text, 0, 57)}…"` : text;
    }
    case "number":
      return value === 0 && 1 / value < 0 ? "-0" : asText(value);
    case "boolean":
    case "undefined":
      return asText(value);
    case "bigint":
      return `${asText(value)}n`;
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    default:
      return showObject(value as object | null);
  }
}

function showObject(value: object | null): string {
  if (value === null) return "null";
  try {
    if (value instanceof PromiseClass) return "a promise";
    if (value instanceof Buffer) return `${value.byteLength} bytes`;
    const name = value.constructor?.name;
    if (!isArray(value) && name && name !== "Object") return `a ${name}`;
    const text = stringifyJson(value);
    if (typeof text !== "string") return "an object";
    return text.length > 60 ? `${slice(text, 0, 59)}…` : text;
  } catch {
    return isArray(value) ? "an array" : "an object";
  }
}

const formatStack = (ErrorClass as { prepareStackTrace?: unknown }).prepareStackTrace;

/** Let stacks be formatted by Deno again, whatever the user's modules have set. */
export function restoreStacks(): void {
  (ErrorClass as { prepareStackTrace?: unknown }).prepareStackTrace = formatStack;
}

/** The stack of what was thrown, with its message; "" where it is no error. */
export function stackOf(thrown: unknown): string {
  try {
    const stack = (thrown as Error | undefined)?.stack;
    return typeof stack === "string" ? stack : "";
  } catch {
    return "";
  }
}

/** What was thrown as one sentence's worth of text. */
export function messageOf(thrown: unknown): string {
  try {
    if (thrown instanceof ErrorClass) {
      const name = asText(thrown.name);
      const message = asText(thrown.message);
      return name === "Error" && message ? message : `${name}: ${message}`;
    }
  } catch {
    // A getter that throws: say what can be said.
  }
  return `it threw ${show(thrown)}`;
}
