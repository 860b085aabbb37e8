// Turns what schema.ts declared into plain data for Python, and notes what is no data at all.

import {
  AsyncFunctionClass,
  append,
  bare,
  functionText,
  isArray,
  isFiniteNumber,
  messageOf,
  ObjectPrototype,
  ownKeys,
  prototypeOf,
  show,
  stackOf,
} from "./primordials.ts";
import {
  Condition,
  contextPath,
  SchemaRecord,
  Select,
  symbolicContext,
  symbolicQuery,
  TableCall,
  TableRecord,
  ValidatorRecord,
} from "./server.ts";
import type { Site } from "./sites.ts";

type Data = Record<string, unknown>;

export interface RawProblem {
  message: string;
  hint: string | null;
  site: number;
  /** The property, in the call at `site`, that is wrong. */
  key: string | null;
}

const VALIDATORS =
  "Use a validator such as v.string(), or v.optional(v.string()) around another one.";
const NAME = "Give a name in quotes.";

/** What a site says, as text: this is what takes time. */
function stack(site: Site | undefined): string {
  const text = site?.stack;
  return typeof text === "string" ? text : "";
}

/** A plain `{ … }`, and not an array, a class or a validator. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || isArray(value)) return false;
  return !(value instanceof ValidatorRecord || value instanceof TableRecord);
}

export class Recorder {
  readonly problems: RawProblem[] = [];
  private readonly sites: (Site | undefined)[] = [];

  /** A number to ask for the place of a call with. */
  private site(site: Site | undefined): number {
    append(this.sites, site);
    return this.sites.length - 1;
  }

  /** The stacks of calls, by their numbers. */
  stacks(numbers: number[]): string[] {
    const found: string[] = bare([]);
    for (let i = 0; i < numbers.length; i++) append(found, stack(this.sites[numbers[i]]));
    return found;
  }

  private problem(
    site: Site | undefined,
    message: string,
    hint: string | null = null,
    key: string | null = null,
  ): void {
    append(this.problems, { message, hint, site: this.site(site), key });
  }

  schema(declared: SchemaRecord): Data {
    const tables: Data[] = [];
    if (!isPlain(declared.tables)) {
      this.problem(
        declared.site,
        `defineSchema takes an object of tables, not ${show(declared.tables)}.`,
        "Write defineSchema({ todos: defineTable({ … }) }).",
      );
      return { tables };
    }
    if (declared.extra.length > 0) {
      this.problem(declared.site, "defineSchema takes one argument.", "Leave out the others.");
    }
    const names = ownKeys(declared.tables);
    for (let i = 0; i < names.length; i++) {
      const table = declared.tables[names[i]];
      if (table instanceof TableRecord) append(tables, this.table(names[i], table));
      else {
        this.problem(
          table instanceof ValidatorRecord ? table.site : declared.site,
          `Table "${names[i]}" is not a defineTable({ … }) but ${what(table)}.`,
          "Give every table its own defineTable({ … }).",
          names[i],
        );
      }
    }
    return { tables };
  }

  private table(name: string, table: TableRecord): Data {
    if (table.extra.length > 0) {
      this.problem(
        table.site,
        `defineTable of "${name}" takes one argument: the fields.`,
        "Chain .index(), .sync() or .backfill() after it.",
      );
    }
    const data: Data = {
      name,
      site: this.site(table.site),
      fields: this.fields(table.fields, table.site, `Table "${name}"`),
      indexes: [],
      searchIndexes: [],
      syncs: [],
      backfills: [],
    };
    for (let i = 0; i < table.calls.length; i++) this.call(name, data, table.calls[i]);
    return data;
  }

  private fields(fields: unknown, site: Site, owner: string): Data[] {
    const list: Data[] = [];
    if (!isPlain(fields)) {
      this.problem(
        fields instanceof ValidatorRecord ? fields.site : site,
        `${owner} takes an object of fields, not ${what(fields)}.`,
        "Write { title: v.string() }.",
      );
      return list;
    }
    const names = ownKeys(fields);
    for (let i = 0; i < names.length; i++) {
      const field = fields[names[i]];
      if (field instanceof ValidatorRecord && field.kind !== "wrong") {
        append(list, { name: names[i], validator: this.validator(field) });
      } else {
        const at = field instanceof ValidatorRecord ? field.site : site;
        this.problem(
          at,
          `Field "${names[i]}" of ${lower(owner)} is not a validator but ${what(field)}.`,
          typeof field === "function"
            ? "Call it: v.string() and not v.string."
            : VALIDATORS,
          names[i],
        );
        append(list, { name: names[i], validator: null });
      }
    }
    return list;
  }

  private validator(validator: ValidatorRecord): Data {
    const { kind, parts, site } = validator;
    const data: Data = { kind, site: this.site(site) };
    // Thousands of validators are neither.
    if (validator.isOptional) data.optional = true;
    if (validator.isDeprecated) data.deprecated = true;
    if (kind === "id") {
      if (typeof parts.table === "string") data.table = parts.table;
      else this.problem(site, `v.id takes the name of a table, not ${show(parts.table)}.`, NAME);
    } else if (kind === "literal") {
      if (isScalar(parts.value)) data.value = parts.value;
      else {
        this.problem(
          site,
          `v.literal takes a string, a finite number or a boolean, not ${show(parts.value)}.`,
          parts.value === null ? "Use v.null()." : "Use v.union() of literals, or v.any().",
        );
      }
    } else if (kind === "object") {
      data.fields = this.fields(parts.fields, site, "v.object");
    }
    if (parts.items !== undefined) data.items = this.items(kind, parts.items, site);
    return data;
  }

  private items(kind: string, items: unknown[], site: Site): Data[] {
    const list: Data[] = [];
    for (let i = 0; i < items.length; i++) {
      const item = items[i];
      if (item instanceof ValidatorRecord && item.kind !== "wrong") {
        append(list, this.validator(item));
      } else {
        const at = item instanceof ValidatorRecord ? item.site : site;
        const ofUnion = kind === "union";
        const literal = ofUnion && isScalar(item);
        const hint = literal ? `Write v.literal(${what(item)}).` : VALIDATORS;
        this.problem(at, `v.${kind} takes validators, not ${what(item)}.`, hint);
        // A union of none is another slip.
        if (ofUnion) append(list, { kind: "any", site: this.site(at) });
      }
    }
    return list;
  }

  private call(table: string, data: Data, call: TableCall): void {
    const { method, args, site } = call;
    if (method === "sync") return this.sync(table, data, args, site);
    const name = args[0];
    const second = args[1];
    if (typeof name !== "string") {
      this.problem(site, `.${method} of table "${table}" takes a name, not ${show(name)}.`, NAME);
      return;
    }
    const common = { name, site: this.site(site) };
    if (method === "index") {
      if (!isArray(second) || second.length === 0) {
        this.problem(
          site,
          `Index "${name}" takes a list of field names, not ${show(second)}.`,
          `Write .index("${name}", ["field"]).`,
        );
      } else {
        const fields: string[] = [];
        for (let i = 0; i < second.length; i++) {
          if (typeof second[i] === "string") append(fields, second[i] as string);
          else this.problem(site, `Index "${name}" names the field ${show(second[i])}.`, NAME);
        }
        append(data.indexes as Data[], { ...common, fields });
      }
    } else if (method === "searchIndex") {
      if (!isPlain(second) || typeof second.searchField !== "string") {
        this.problem(
          site,
          `Search index "${name}" needs a searchField.`,
          `Write .searchIndex("${name}", { searchField: "title" }).`,
        );
      } else {
        this.options(second, ["searchField"], `search index "${name}"`, site);
        append(data.searchIndexes as Data[], { ...common, searchField: second.searchField });
      }
    } else if (typeof second !== "function") {
      this.problem(
        site,
        `Backfill "${name}" takes a function, not ${show(second)}.`,
        `Write .backfill("${name}", (row) => …).`,
      );
    } else if (second instanceof AsyncFunctionClass) {
      this.problem(
        site,
        `Backfill "${name}" is async: it would return a promise in place of a value.`,
        "Compute the value at once, from the document alone.",
      );
    } else {
      append(data.backfills as Data[], { ...common, code: functionText(second) });
    }
  }

  private options(given: object, known: string[], owner: string, site: Site): void {
    const keys = ownKeys(given);
    for (let i = 0; i < keys.length; i++) {
      let found = false;
      for (let k = 0; k < known.length; k++) found ||= known[k] === keys[i];
      if (!found) {
        const list = known.length === 1 ? known[0] : `${known[0]} and ${known[1]}`;
        this.problem(
          site,
          `Unknown option "${keys[i]}" in ${owner}.`,
          `The only ${known.length === 1 ? "option is" : "options are"} ${list}.`,
          keys[i],
        );
      }
    }
  }

  private sync(table: string, data: Data, args: unknown[], site: Site): void {
    const options = args[0];
    if (!isPlain(options)) {
      this.problem(
        site,
        `.sync of table "${table}" takes options, not ${show(options)}.`,
        "Write .sync({ mode: 'full' }).",
      );
      return;
    }
    this.options(options, ["mode", "filter"], `.sync of table "${table}"`, site);
    const mode = options.mode === undefined ? "full" : options.mode;
    if (mode !== "full" && mode !== "windowed" && mode !== "none") {
      this.problem(
        site,
        `Sync mode of table "${table}" cannot be ${show(mode)}.`,
        "Use 'full', 'windowed' or 'none'.",
        "mode",
      );
      return;
    }
    const entry: Data = { mode, filter: null, site: this.site(site) };
    if (options.filter !== undefined) this.filter(table, entry, options.filter, site);
    append(data.syncs as Data[], entry);
  }

  private filter(table: string, entry: Data, filter: unknown, site: Site): void {
    const example = "Write filter: (q, ctx) => q.eq('userId', ctx.auth.userId).";
    if (typeof filter !== "function") {
      this.problem(site, `The sync filter of table "${table}" is not a function.`, example);
      return;
    }
    let result: unknown;
    try {
      result = filter(symbolicQuery, symbolicContext());
    } catch (thrown) {
      append(this.problems, {
        message: `The sync filter of table "${table}" failed: ${messageOf(thrown)}`,
        hint: "A filter is run once without a client and may only build conditions with q.",
        site: this.site({ stack: `${stackOf(thrown)}\n${stack(site)}` }),
        key: null,
      });
      return;
    }
    if (!(result instanceof Condition)) {
      this.problem(
        site,
        `The sync filter of table "${table}" returned ${what(result)}, not a condition.`,
        example,
      );
      return;
    }
    entry.filter = this.condition(result, 0);
  }

  private condition(value: unknown, depth: number, at?: Site): unknown {
    if (!(value instanceof Condition)) {
      this.problem(at, `A condition was expected, not ${what(value)}.`, "Use q.eq() or its like.");
      return null;
    }
    const { op, args, site } = value;
    if (depth > 50) {
      this.problem(site, "The sync filter is nested too deep.", "Use fewer levels.");
      return null;
    }
    if (op === "not") {
      this.count(value, 1);
      return { op, arg: this.condition(args[0], depth + 1, site), site: this.site(site) };
    }
    if (op === "and" || op === "or") {
      const list: unknown[] = [];
      for (let i = 0; i < args.length; i++) {
        append(list, this.condition(args[i], depth + 1, site));
      }
      if (list.length === 0) this.problem(site, `q.${op} needs conditions.`, "Give one or more.");
      return { op, args: list, site: this.site(site) };
    }
    this.count(value, 2);
    if (typeof args[0] !== "string") {
      this.problem(site, `q.${op} takes the name of a field first, not ${show(args[0])}.`, NAME);
    }
    return {
      op,
      field: args[0],
      value: this.value(op, args[1], site, depth),
      site: this.site(site),
    };
  }

  private count(condition: Condition, wanted: number): void {
    const { op, args, site } = condition;
    if (args.length > wanted) {
      this.problem(site, `q.${op} takes ${wanted} argument${wanted === 1 ? "" : "s"}.`);
    }
  }

  private value(op: string, value: unknown, site: Site, depth: number): unknown {
    const path = contextPath(value);
    if (path !== undefined && path !== "") return { ctx: path };
    if (op === "in") {
      if (value instanceof Select) return this.select(value, depth);
      if (isArray(value)) {
        const list: unknown[] = [];
        for (let i = 0; i < value.length; i++) {
          append(list, this.value("eq", value[i], site, depth));
        }
        return list;
      }
      this.problem(site, `q.in takes a list or a q.select(…), not ${what(value)}.`);
      return null;
    }
    if (value === null || isScalar(value)) return value;
    this.problem(
      site,
      `q.${op} compares with a string, a number, a boolean, null or a part of ctx, not ${
        path === "" ? "ctx itself" : what(value)
      }.`,
    );
    return null;
  }

  private select(select: Select, depth: number): unknown {
    const { field, table, condition, site } = select;
    if (typeof field !== "string" || typeof table !== "string") {
      this.problem(
        site,
        "q.select needs a field and a table.",
        "Write q.select('_id').from('teams').where(…).",
      );
      return null;
    }
    const where = condition === undefined ? null : this.condition(condition, depth + 1, site);
    return { op: "select", field, from: table, where, site: this.site(site) };
  }
}

function isScalar(value: unknown): boolean {
  if (typeof value === "number") return isFiniteNumber(value);
  return typeof value === "string" || typeof value === "boolean";
}

function what(value: unknown): string {
  if (value instanceof ValidatorRecord) {
    return value.kind === "wrong" ? what(value.parts.value) : `v.${value.kind}()`;
  }
  if (value instanceof TableRecord) return "a defineTable({ … })";
  if (value instanceof SchemaRecord) return "a defineSchema({ … })";
  if (value instanceof Condition) return `q.${value.op}(…)`;
  if (value instanceof Select) return "q.select(…)";
  if (typeof value === "object" && value !== null && isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) {
    const prototype = prototypeOf(value);
    if (prototype === null || prototype === ObjectPrototype) return "an object";
  }
  return show(value);
}

function lower(owner: string): string {
  return owner[0] === "T" ? `table${owner.slice(5)}` : owner;
}
