// The child process: runs one schema's modules and its backfills for the Python side.
//
// Frames in:  E evaluate (with a payload: and note no places), S tell where calls stand, B choose a backfill, D a batch, T a batch traced
//             document by document.
// Frames out: E the declarations, S stacks, B the choice's outcome, A a batch's answer, H the index
//             of the document about to be run.

import { readFrame, writeFrame, writeJson } from "./frames.ts";
import { install, takeUsed, watch } from "./impure.ts";
import { outcomes } from "./outcomes.ts";
import { pack } from "./packing.ts";
import {
  append,
  bare,
  bareTree,
  decodeText,
  encodeText,
  functionText,
  messageOf,
  parseJson,
  restoreStacks,
  reverse,
  setBytes,
  show,
  stackOf,
  stringifyJson,
  wallClock,
} from "./primordials.ts";
import { Bytes, View } from "./primordials.ts";
import { Recorder } from "./record.ts";
import { type Columns, type Row, RowMaker } from "./rows.ts";
import { SchemaRecord, TableRecord, ValidatorRecord } from "./server.ts";
import { noteSites } from "./sites.ts";
import { Column, Refused } from "./values.ts";

const HEARTBEAT = 100;
/** Beyond it JSON writes some numbers as whole ones that SQLite cannot hold as such. */
const EXACT = 2 ** 53;
const [entry, skewed] = Deno.args;

function isolate(): void {
  const silent = () => {};
  for (const method of Object.keys(console)) {
    if (typeof console[method as "log"] === "function") console[method as "log"] = silent;
  }
  addEventListener("unhandledrejection", (event) => event.preventDefault());
  addEventListener("error", (event) => event.preventDefault());
  const refuse = (name: string): object =>
    new Proxy(Object.create(null), {
      get(_target, key) {
        throw new Error(
          `${name}.${String(key)} is not available: schema.ts runs without access to files, ` +
            "network, environment or processes",
        );
      },
    });
  const replace = (name: string, value: unknown) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  replace("Deno", refuse("Deno"));
  replace("process", refuse("process"));
  for (const name of ["fetch", "Worker", "WebSocket", "EventSource", "prompt", "alert", "confirm"]) {
    replace(name, function () {
      throw new Error(
        `${name} is not available: schema.ts runs without access to files, network, ` +
          "environment or processes",
      );
    });
  }
}

let schema: SchemaRecord | null = null;
let recorder = new Recorder();

async function evaluate(withSites: boolean): Promise<void> {
  noteSites(withSites);
  let data: Record<string, unknown>;
  try {
    const module = await import(entry);
    restoreStacks();
    recorder = new Recorder();
    const declared = module.default;
    if (declared instanceof SchemaRecord) {
      schema = declared;
      data = recorder.schema(declared);
    } else {
      data = { wrongDefault: "default" in module ? show(declared) : null, tables: [] };
    }
    data.problems = recorder.problems;
  } catch (thrown) {
    restoreStacks();
    data = {
      thrown: { message: messageOf(thrown), stack: stackOf(thrown) },
      tables: [],
      problems: [],
    };
  }
  writeJson("E", bareTree(data));
}

interface Chosen {
  call: (row: Row) => unknown;
  column: Column;
  rows: RowMaker;
  stack: string;
  code: string;
}

let chosen: Chosen | null = null;

/** Choose a backfill; what keeps it from being run, or null. */
function choose(table: string, name: string): string | null {
  const tables = schema?.tables as Record<string, unknown> | undefined;
  const record = tables?.[table];
  if (!(record instanceof TableRecord)) return `There is no table "${table}".`;
  const fields = record.fields as Record<string, unknown>;
  const validator = fields[name];
  for (let i = 0; i < record.calls.length; i++) {
    const { method, args, site } = record.calls[i];
    if (method !== "backfill" || args[0] !== name) continue;
    if (!(validator instanceof ValidatorRecord)) break;
    chosen = {
      call: args[1] as (row: Row) => unknown,
      column: new Column(name, validator),
      rows: new RowMaker(fields),
      stack: site.stack ?? "",
      code: functionText(args[1]),
    };
    return null;
  }
  return `Table "${table}" has no backfill of "${name}".`;
}

function run(payload: Uint8Array, traced: boolean): void {
  if (chosen === null) throw new Error("no backfill was chosen");
  const { call, column, rows, stack } = chosen;
  const began = wallClock();
  const batch = parseJson(decodeText(payload)) as { columns: Columns; count?: number };
  rows.load(batch.columns, batch.count);
  const count = rows.length;
  const values: unknown[] = bare([]);
  const failures: unknown[] = bare([]);
  let large = false;
  let last = began;
  writeJson("H", 0);
  watch(true);
  // Whose values are only compared goes from the last document to the first: a value that depends
  // on the documents before it differs.
  const backwards = skewed === "skewed";
  for (let i = 0; backwards && i < count; i++) values[i] = null;
  for (let at = 0; at < count; at++) {
    const i = backwards ? count - 1 - at : at;
    if (traced) writeJson("H", i);
    else {
      // Asked for every document, because each may take nearly all of its time.
      const time = wallClock();
      if (time - last > HEARTBEAT || time < last) {
        last = time;
        writeJson("H", i);
      }
    }
    let value: unknown = null;
    try {
      value = column.store(call(rows.row(i)));
      if (value instanceof Refused) {
        append(failures, bare({ index: i, message: value.message, stack }));
        value = null;
      }
    } catch (thrown) {
      const message = `Backfill "${column.name}" failed: ${messageOf(thrown)}`;
      append(failures, bare({ index: i, message, stack: `${stackOf(thrown)}\n${stack}` }));
      value = null;
    }
    if (typeof value === "number" && !(value <= EXACT && value >= -EXACT)) large = true;
    values[i] = value;
  }
  watch(false);
  if (backwards) reverse(failures);
  const only = rows.only;
  const told = only === null || failures.length > 0 ? null : outcomes(only, values);
  const { form, bytes } = pack(values);
  const seconds = (wallClock() - began) / 1000;
  const used = bare(takeUsed());
  const head = encodeText(
    stringifyJson(bare({ failures, used, seconds, large, form, outcomes: told })),
  );
  const prefixed = new Bytes(head.length + 4);
  new View(prefixed.buffer).setUint32(0, head.length);
  setBytes(prefixed, head, 4);
  writeFrame("A", prefixed, bytes);
}

install(skewed === "skewed");
isolate();
writeJson("H", 0);

while (true) {
  const frame = readFrame();
  if (frame === null) break;
  if (frame.kind === 69) await evaluate(frame.payload.length === 0);
  else if (frame.kind === 83) {
    restoreStacks();
    writeJson("S", recorder.stacks(parseJson(decodeText(frame.payload)) as number[]));
  } else if (frame.kind === 66) {
    const request = parseJson(decodeText(frame.payload)) as { table: string; column: string };
    const problem = choose(request.table, request.column);
    const { stack, code } = (chosen as Chosen | null) ?? { stack: "", code: "" };
    writeJson("B", bare({ problem, stack, code }));
  } else run(frame.payload, frame.kind === 84);
}
