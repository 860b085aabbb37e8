// Builds the documents that a backfill sees, out of columns of stored values.

import {
  append,
  bare,
  Buffer,
  Bytes,
  defineProperty,
  ErrorClass,
  hasOwn,
  join,
  makeFunction,
  ownKeys,
  parseJson,
  slice,
  stringifyJson,
} from "./primordials.ts";
import { ValidatorRecord } from "./server.ts";
import { storageOf } from "./values.ts";

export type Row = Record<string, unknown>;
export type Columns = Record<string, unknown[]>;
type Build = (columns: Columns, i: number) => Row;

/** A cell that cannot be read: the document gets a getter that throws this sentence. */
interface Trap {
  column: string;
  message: string;
}

function fromHex(digits: string): ArrayBuffer {
  const buffer = new Buffer(digits.length / 2);
  const bytes = new Bytes(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = +`0x${slice(digits, 2 * i, 2 * i + 2)}`;
  return buffer;
}

/** Makes documents of one table; the row constructor is compiled once for a list of columns. */
export class RowMaker {
  private readonly storages: Record<string, string> = bare({});
  private readonly builds: Record<string, Build> = bare({});
  private traps: Record<number, Trap[]> | null = null;
  private columns: Columns = {};
  private build: Build = () => ({});
  length = 0;

  constructor(fields: Record<string, unknown>) {
    const names = ownKeys(fields);
    for (let i = 0; i < names.length; i++) {
      this.storages[names[i]] = storageOf(fields[names[i]] as ValidatorRecord);
    }
  }

  /** Take a batch of `count` documents: decode its cells in place. */
  load(columns: Columns, count?: number): void {
    const names = ownKeys(columns);
    this.columns = columns;
    this.traps = null;
    this.length = count ?? (names.length === 0 ? 0 : columns[names[0]].length);
    const key = stringifyJson(names);
    this.build = this.builds[key] ??= compile(names);
    for (let i = 0; i < names.length; i++) {
      this.decode(names[i], columns[names[i]], this.storages[names[i]]);
    }
  }

  /** The cells of the one field that documents have, as far as they still are what is stored. */
  get only(): unknown[] | null {
    const names = ownKeys(this.columns);
    return names.length === 1 && this.storages[names[0]] !== "json" ? this.columns[names[0]] : null;
  }

  /** The document at an index: a new object each time. */
  row(i: number): Row {
    const row = this.build(this.columns, i);
    if (this.traps !== null && this.traps[i] !== undefined) {
      for (let t = 0; t < this.traps[i].length; t++) {
        const { column, message } = this.traps[i][t];
        defineProperty(row, column, {
          enumerable: true,
          configurable: true,
          get() {
            throw new ErrorClass(message);
          },
        });
      }
    }
    return row;
  }

  private decode(name: string, cells: unknown[], storage: string | undefined): void {
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i];
      if (cell === null) continue;
      if (typeof cell === "object") {
        const marked = cell as { $b?: string; $i?: string };
        if (hasOwn(marked, "$b")) cells[i] = fromHex(marked.$b as string);
        else {
          this.trap(
            i,
            name,
            `"${name}" holds ${marked.$i}, which a JavaScript number cannot hold exactly`,
          );
        }
      } else if (storage === "boolean") {
        if (cell === 0) cells[i] = false;
        else if (cell === 1) cells[i] = true;
      } else if (storage === "json" && typeof cell === "string") {
        try {
          cells[i] = parseJson(cell);
        } catch {
          this.trap(i, name, `"${name}" holds text that is not JSON: mend it in the database, or catch this error`);
        }
      }
    }
  }

  private trap(i: number, column: string, message: string): void {
    this.traps ??= bare({});
    append(this.traps[i] ??= [], { column, message });
  }
}

function compile(names: string[]): Build {
  const reads: string[] = [];
  for (let i = 0; i < names.length; i++) {
    const name = stringifyJson(names[i]);
    append(reads, `[${name}]: columns[${name}][i]`);
  }
  return makeFunction("columns", "i", `return {${join(reads, ", ")}}`) as Build;
}
