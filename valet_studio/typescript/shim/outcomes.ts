// Which value each input gave, in a batch of documents of which one field is read.

import { append, bare } from "./primordials.ts";

const FEW = 1_000;

/** Pairs of a cell and its value: none where one gave two values; null where there are many. */
export function outcomes(cells: unknown[], values: unknown[]): unknown[] | null {
  const texts: Record<string, number> = bare({});
  const numbers: Record<string, number> = bare({});
  const found: unknown[] = bare([]);
  let nothing = -1;
  for (let i = 0; i < cells.length; i++) {
    let cell = cells[i];
    let at: number | undefined;
    if (typeof cell === "boolean") cell = cell ? 1 : 0;
    if (typeof cell === "string") at = texts[cell] ??= found.length;
    else if (typeof cell === "number") at = numbers[cell] ??= found.length;
    else if (cell === null) at = nothing < 0 ? (nothing = found.length) : nothing;
    else return null;
    if (at === found.length) {
      if (at === FEW) return null;
      append(found, bare([cell, values[i]]));
    } else if ((found[at] as unknown[])[1] !== values[i]) return bare([]);
  }
  return found;
}
