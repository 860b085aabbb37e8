// Where in the user's modules a call was made.

/** A symbolic place of the schema language. */
export interface Site {
  stack?: string;
}

// V8's own, which a check with the names of the language alone does not know.
declare global {
  interface ErrorConstructor {
    captureStackTrace(holder: object, below?: (...args: never[]) => unknown): void;
    stackTraceLimit: number;
  }
}

const capture = Error.captureStackTrace;
const nowhere: Site = Object.freeze({});
let noting = true;

/** Note places, or leave it: in a module of thousands of calls it takes most of the time. */
export function noteSites(on: boolean): void {
  noting = on;
}

/** Note the caller of `below`, cheaply: the text is made only when `stack` is read. */
export function site(below: (...args: never[]) => unknown): Site {
  if (!noting) return nowhere;
  const holder: Site = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 2;
  capture(holder, below);
  Error.stackTraceLimit = limit;
  return holder;
}
