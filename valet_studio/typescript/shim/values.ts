// Judges what a backfill returned against its column's validator, and puts it in stored form.

import {
  append,
  bare,
  Buffer,
  Bytes,
  defineProperty,
  isArray,
  isFiniteNumber,
  isSafeInteger,
  isWellFormed,
  numberToText,
  ObjectPrototype,
  ownKeys,
  PromiseClass,
  prototypeOf,
  show,
  stringifyJson,
} from "./primordials.ts";
import { ValidatorRecord } from "./server.ts";

export type Storage = "text" | "number" | "boolean" | "bytes" | "json";

/** A value that breaks its validator: `message` is the rest of a sentence about it. */
class Wrong {
  constructor(readonly message: string) {}
}

type Check = (value: unknown, depth: number) => unknown;

const MAX_DEPTH = 200;
const BIGINT = new Wrong("is a bigint: return a number");
const INEXACT = new Wrong("is beyond 2 ** 53, where numbers are not exact");
const TOO_DEEP = new Wrong("is nested too deep, or holds itself");

/** How a column of this validator holds its values; the same rule as `Validator.storage`. */
export function storageOf(validator: ValidatorRecord): Storage {
  switch (validator.kind) {
    case "string":
    case "id":
      return "text";
    case "number":
    case "int":
      return "number";
    case "boolean":
      return "boolean";
    case "bytes":
      return "bytes";
    case "literal":
      if (typeof validator.parts.value === "boolean") return "boolean";
      return typeof validator.parts.value === "string" ? "text" : "number";
    case "union": {
      let shared: Storage | undefined;
      const members = validator.parts.items as ValidatorRecord[];
      for (let i = 0; i < members.length; i++) {
        if (members[i].kind === "null") continue;
        const storage = storageOf(members[i]);
        if (shared !== undefined && shared !== storage) return "json";
        shared = storage;
      }
      return shared ?? "json";
    }
    default:
      return "json";
  }
}

function expected(validator: ValidatorRecord): string {
  switch (validator.kind) {
    case "string":
    case "id":
      return "a string";
    case "number":
      return "a number";
    case "int":
      return "a whole number";
    case "boolean":
      return "a boolean";
    case "bytes":
      return "an ArrayBuffer";
    case "null":
      return "null";
    case "literal":
      return show(validator.parts.value);
    case "array":
      return "an array";
    case "object":
    case "record":
      return "an object";
    case "union": {
      const members = validator.parts.items as ValidatorRecord[];
      let text = "";
      for (let i = 0; i < members.length; i++) {
        text += (i === 0 ? "" : i === members.length - 1 ? " or " : ", ") + expected(members[i]);
      }
      return text;
    }
    default:
      return "a JSON value";
  }
}

function plainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || isArray(value)) return false;
  const prototype = prototypeOf(value);
  return prototype === null || prototype === ObjectPrototype;
}

function put(target: object, key: string, value: unknown): void {
  defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function text(value: string): string | Wrong {
  return isWellFormed(value) ? value : new Wrong("holds half of a surrogate pair: it is no text");
}

function json(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) return TOO_DEEP;
  if (typeof value === "string") return text(value);
  if (typeof value === "boolean" || value === null) return value;
  if (typeof value === "number") {
    return isFiniteNumber(value) ? value : new Wrong("is no JSON value");
  }
  if (isArray(value)) {
    const list: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      const item = json(value[i], depth + 1);
      if (item instanceof Wrong) return within(`[${i}]`, value[i], item);
      append(list, item);
    }
    return bare(list);
  }
  if (!plainObject(value)) return new Wrong("is no JSON value");
  const copy = bare({});
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length; i++) {
    const property = value[keys[i]];
    if (property === undefined) continue;
    if (!isWellFormed(keys[i])) return new Wrong("has a key that is no text");
    const item = json(property, depth + 1);
    if (item instanceof Wrong) return within(`.${keys[i]}`, property, item);
    put(copy, keys[i], item);
  }
  return copy;
}

function within(path: string, value: unknown, wrong: Wrong): Wrong {
  if (wrong === TOO_DEEP) return wrong;
  const message = wrong.message[0] === "." || wrong.message[0] === "["
    ? `${path}${wrong.message}`
    : `${path} is ${show(value)}, which ${wrong.message}`;
  return new Wrong(message);
}

/** Compile a validator into a function that returns a clean copy of a value, or `Wrong`. */
function compile(validator: ValidatorRecord): Check {
  const wanted = new Wrong(`is not ${expected(validator)}`);
  const { kind, parts } = validator;
  switch (kind) {
    case "string":
    case "id":
      return (value) => typeof value === "string" ? text(value) : wanted;
    case "number":
      return (value) => {
        if (typeof value === "bigint") return BIGINT;
        if (typeof value !== "number") return wanted;
        return isFiniteNumber(value) ? value : new Wrong("is not a finite number");
      };
    case "int":
      return (value) => {
        if (isSafeInteger(value)) return value;
        if (typeof value === "bigint") return BIGINT;
        return typeof value === "number" && value % 1 === 0 ? INEXACT : wanted;
      };
    case "boolean":
      return (value) => typeof value === "boolean" ? value : wanted;
    case "bytes":
      return (value) => value instanceof Buffer ? value : wanted;
    case "null":
      return (value) => value === null ? null : wanted;
    case "literal":
      return (value) => value === parts.value ? value : wanted;
    case "array": {
      const element = compile((parts.items as ValidatorRecord[])[0]);
      return (value, depth) => {
        if (!isArray(value)) return wanted;
        if (depth > MAX_DEPTH) return TOO_DEEP;
        const list: unknown[] = [];
        for (let i = 0; i < value.length; i++) {
          const item = element(value[i], depth + 1);
          if (item instanceof Wrong) return within(`[${i}]`, value[i], item);
          append(list, item);
        }
        return bare(list);
      };
    }
    case "object":
      return compileObject(parts.fields as Record<string, ValidatorRecord>, wanted);
    case "record": {
      const pair = parts.items as ValidatorRecord[];
      const checkKey = compile(pair[0]);
      const checkItem = compile(pair[1]);
      return (value, depth) => {
        if (!plainObject(value)) return wanted;
        const copy = bare({});
        const keys = ownKeys(value);
        for (let i = 0; i < keys.length; i++) {
          const property = value[keys[i]];
          if (checkKey(keys[i], depth + 1) instanceof Wrong) {
            return new Wrong(`has the key ${show(keys[i])}, which its validator does not allow`);
          }
          const checked = checkItem(property, depth + 1);
          if (checked instanceof Wrong) return within(`.${keys[i]}`, property, checked);
          put(copy, keys[i], checked);
        }
        return copy;
      };
    }
    case "union": {
      const checks: Check[] = [];
      const members = parts.items as ValidatorRecord[];
      for (let i = 0; i < members.length; i++) append(checks, compile(members[i]));
      return (value, depth) => {
        for (let i = 0; i < checks.length; i++) {
          const checked = checks[i](value, depth);
          if (!(checked instanceof Wrong)) return checked;
        }
        return wanted;
      };
    }
    default:
      return json;
  }
}

function compileObject(fields: Record<string, ValidatorRecord>, wanted: Wrong): Check {
  const names = ownKeys(fields);
  const checks: Check[] = [];
  const known = bare<Record<string, boolean>>({});
  for (let i = 0; i < names.length; i++) {
    append(checks, compile(fields[names[i]]));
    known[names[i]] = true;
  }
  return (value, depth) => {
    if (!plainObject(value)) return wanted;
    const keys = ownKeys(value);
    for (let i = 0; i < keys.length; i++) {
      // A property that is undefined is not there, as in the JSON that is stored.
      if (known[keys[i]] === undefined && value[keys[i]] !== undefined) {
        return new Wrong(`has the property ${show(keys[i])}, which its validator does not know`);
      }
    }
    const copy = bare({});
    for (let i = 0; i < names.length; i++) {
      const property = value[names[i]];
      if (property === undefined) {
        if (fields[names[i]].isOptional) continue;
        return new Wrong(`lacks the property ${show(names[i])}`);
      }
      const checked = checks[i](property, depth + 1);
      if (checked instanceof Wrong) return within(`.${names[i]}`, property, checked);
      put(copy, names[i], checked);
    }
    return copy;
  };
}

function hex(buffer: ArrayBuffer): string {
  const bytes = new Bytes(buffer);
  let digits = "";
  for (let i = 0; i < bytes.length; i++) {
    digits += (bytes[i] < 16 ? "0" : "") + numberToText(bytes[i], 16);
  }
  return digits;
}

/** What `Column.store` gives for a value that may not stand in the column. */
export class Refused {
  constructor(readonly message: string) {}
}

/** The column that a backfill fills. */
export class Column {
  readonly storage: Storage;
  private readonly check: Check;
  private readonly wanted: string;

  constructor(readonly name: string, private readonly validator: ValidatorRecord) {
    this.storage = storageOf(validator);
    this.check = compile(validator);
    this.wanted = expected(validator);
  }

  /** The stored form of what the function returned, or `Refused` with a whole sentence. */
  store(value: unknown): unknown {
    if (value === undefined) {
      if (this.validator.isOptional) return null;
      return this.refuse(value, `is not ${this.wanted}`);
    }
    if (value === null && this.validator.isOptional) return null;
    if (value instanceof PromiseClass) {
      return new Refused(
        `Backfill "${this.name}" returned a promise: the function may not be async.`,
      );
    }
    const checked = this.check(value, 0);
    if (checked instanceof Wrong) return this.refuse(value, checked.message);
    if (checked === null) return null;
    switch (this.storage) {
      case "boolean":
        return checked ? 1 : 0;
      case "json":
        return stringifyJson(checked);
      case "bytes":
        return bare({ $b: hex(checked as ArrayBuffer) });
      default:
        return checked;
    }
  }

  private refuse(value: unknown, message: string): Refused {
    const first = message[0];
    if (first === "." || first === "[") {
      return new Refused(`Backfill "${this.name}" returned a value whose ${message}.`);
    }
    return new Refused(`Backfill "${this.name}" returned ${show(value)}, which ${message}.`);
  }
}
