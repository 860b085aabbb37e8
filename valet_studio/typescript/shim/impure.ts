// Notes which sources of differing values a backfill calls, and shifts the clock on demand.

import { bare, ownKeys } from "./primordials.ts";

const used: Record<string, boolean> = bare({});
let watching = false;

/** Start or stop noting. */
export function watch(on: boolean): void {
  watching = on;
}

/** What was called since the last time this was asked. */
export function takeUsed(): string[] {
  const names = ownKeys(used);
  for (let i = 0; i < names.length; i++) delete used[names[i]];
  return names;
}

function note(name: string): void {
  if (watching) used[name] = true;
}

// deno-lint-ignore no-explicit-any
type Callable = (...args: any[]) => any;

function wrapMethod(owner: object, method: string, name: string, shift = 0): void {
  const original = (owner as Record<string, Callable>)[method];
  if (typeof original !== "function") return;
  Object.defineProperty(owner, method, {
    value: function (this: unknown, ...args: unknown[]) {
      note(name);
      const result = original.apply(this === undefined ? owner : this, args);
      return shift === 0 ? result : result + shift;
    },
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

const DAY = 86_400_000;

/** Put wrappers around every source of time and chance; `skewed` moves the clock by a day. */
export function install(skewed: boolean): void {
  const shift = skewed ? DAY + 12_345_678 : 0;
  const RealDate = Date;
  const realNow = Date.now;
  const shiftedNow = () => realNow() + shift;
  const WatchedDate = new Proxy(RealDate, {
    construct(target, args, newTarget) {
      if (args.length > 0) return Reflect.construct(target, args, newTarget);
      note("new Date()");
      return Reflect.construct(target, [shiftedNow()], newTarget);
    },
    apply() {
      note("Date()");
      return new RealDate(shiftedNow()).toString();
    },
  });
  RealDate.prototype.constructor = WatchedDate;
  wrapMethod(RealDate, "now", "Date.now", shift);
  globalThis.Date = WatchedDate;
  wrapMethod(Math, "random", "Math.random");
  wrapMethod(Performance.prototype, "now", "performance.now", shift);
  wrapMethod(Crypto.prototype, "randomUUID", "crypto.randomUUID");
  wrapMethod(Crypto.prototype, "getRandomValues", "crypto.getRandomValues");
  const temporal = (globalThis as { Temporal?: { Now: object } }).Temporal;
  if (temporal !== undefined) {
    const methods = Object.getOwnPropertyNames(temporal.Now);
    for (const method of methods) wrapMethod(temporal.Now, method, "Temporal.Now");
  }
}
