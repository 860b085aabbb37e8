// What `valet-dev/server` is to a schema.ts: it records what was declared and checks nothing
// that needs a second look. `record.ts` turns the record into data, Python judges it.

import { type Site, site } from "./sites.ts";

// ---- validators

declare const type: unique symbol;

export type Presence = "required" | "optional";

/** What a value may be. `T` is its TypeScript type; `P` whether a document may lack it. */
export interface Validator<T = unknown, P extends Presence = Presence> {
  readonly [type]: [T, P];
  /** Keep the column and its data, but leave the field out of the generated types. */
  deprecated(): Validator<T, P>;
}

/** The TypeScript type that a validator stands for. */
export type Infer<V extends Validator> = V[typeof type][0];

type Flatten<T> = { [K in keyof T]: T[K] } & {};

type PropertiesOf<F extends Record<string, Validator>> = Flatten<
  & {
    [K in keyof F as F[K][typeof type][1] extends "required" ? K : never]: Infer<F[K]>;
  }
  & {
    [K in keyof F as F[K][typeof type][1] extends "required" ? never : K]?: Infer<F[K]>;
  }
>;

/** The name of a document of table `T`. */
export type Id<T extends string> = string & { readonly __table?: T };

export type Scalar = string | number | boolean | bigint;

type Required<T> = Validator<T, "required">;

export interface Validators {
  string(): Required<string>;
  number(): Required<number>;
  float64(): Required<number>;
  int(): Required<number>;
  int64(): Required<number>;
  boolean(): Required<boolean>;
  bytes(): Required<ArrayBuffer>;
  null(): Required<null>;
  // deno-lint-ignore no-explicit-any
  any(): Required<any>;
  id<const T extends string>(table: T): Required<Id<T>>;
  literal<const T extends string | number | boolean>(value: T): Required<T>;
  array<V extends Validator>(element: V): Required<Infer<V>[]>;
  object<F extends Record<string, Validator>>(fields: F): Required<PropertiesOf<F>>;
  record<K extends Validator<string>, V extends Validator>(
    key: K,
    value: V,
  ): Required<Record<Infer<K>, Infer<V>>>;
  union<M extends Validator[]>(...members: M): Required<Infer<M[number]>>;
  optional<V extends Validator>(validator: V): Validator<Infer<V>, "optional">;
}

export interface ValidatorParts {
  table?: unknown;
  value?: unknown;
  items?: unknown[];
  fields?: unknown;
}

export class ValidatorRecord {
  constructor(
    readonly kind: string,
    readonly parts: ValidatorParts,
    readonly site: Site,
    readonly isOptional = false,
    readonly isDeprecated = false,
  ) {}

  deprecated(): ValidatorRecord {
    return new ValidatorRecord(this.kind, this.parts, this.site, this.isOptional, true);
  }
}

type Make = (...args: unknown[]) => ValidatorRecord;

function maker(kind: string, parts: (args: unknown[]) => ValidatorParts): Make {
  const make: Make = (...args) => new ValidatorRecord(kind, parts(args), site(make));
  return make;
}

const none = () => ({});

const optional: Make = (inner) => {
  if (!(inner instanceof ValidatorRecord)) {
    return new ValidatorRecord("wrong", { value: inner }, site(optional), true);
  }
  return new ValidatorRecord(inner.kind, inner.parts, inner.site, true, inner.isDeprecated);
};

export const v: Validators = {
  string: maker("string", none),
  number: maker("number", none),
  float64: maker("number", none),
  int: maker("int", none),
  int64: maker("int", none),
  boolean: maker("boolean", none),
  bytes: maker("bytes", none),
  null: maker("null", none),
  any: maker("any", none),
  id: maker("id", (args) => ({ table: args[0] })),
  literal: maker("literal", (args) => ({ value: args[0] })),
  array: maker("array", (args) => ({ items: [args[0]] })),
  object: maker("object", (args) => ({ fields: args[0] })),
  record: maker("record", (args) => ({ items: [args[0], args[1]] })),
  union: maker("union", (args) => ({ items: args })),
  optional,
} as unknown as Validators;

// ---- sync filters

declare const expression: unique symbol;

/** A condition of a sync filter, recorded as data and never run here. */
export interface Expression {
  readonly [expression]: true;
}

/** A selection of another table's fields: `q.select('_id').from('teams').where(…)`. */
export interface Selection {
  readonly [expression]: "selection";
  where(condition: Expression): Selection;
}

export interface SelectionStart {
  from(table: string): Selection;
}

/** Stands for a value that is known only when a client connects: `ctx.auth.userId`. */
export interface ContextValue {
  readonly [key: string]: ContextValue;
}

export interface Context {
  readonly auth: { readonly userId: ContextValue } & ContextValue;
  readonly [key: string]: ContextValue;
}

export type FilterValue = string | number | boolean | null | ContextValue;

/** A field of the table, or of the table that is selected from. */
// deno-lint-ignore ban-types
export type FieldName<F> = (keyof F & string) | "_id" | (string & {});

export interface FilterBuilder<F = Record<string, Validator>> {
  eq(field: FieldName<F>, value: FilterValue): Expression;
  neq(field: FieldName<F>, value: FilterValue): Expression;
  gt(field: FieldName<F>, value: FilterValue): Expression;
  gte(field: FieldName<F>, value: FilterValue): Expression;
  lt(field: FieldName<F>, value: FilterValue): Expression;
  lte(field: FieldName<F>, value: FilterValue): Expression;
  and(...conditions: Expression[]): Expression;
  or(...conditions: Expression[]): Expression;
  not(condition: Expression): Expression;
  in(field: FieldName<F>, values: readonly FilterValue[] | ContextValue | Selection): Expression;
  arrayContains(field: FieldName<F>, value: FilterValue): Expression;
  select(field: string): SelectionStart;
}

export interface SyncOptions<F = Record<string, Validator>> {
  /** `full` (the default), `windowed`, or `none`. */
  mode?: "full" | "windowed" | "none";
  /** Which documents a client receives. */
  filter?: (q: FilterBuilder<F>, ctx: Context) => Expression;
}

/** A condition as it was written: its operator, its arguments, and where. */
export class Condition {
  constructor(readonly op: string, readonly args: unknown[], readonly site: Site) {}
}

export class Select {
  table: unknown = undefined;
  condition: unknown = undefined;
  constructor(readonly field: unknown, readonly site: Site) {}
  from(table: unknown): this {
    this.table = table;
    return this;
  }
  where(condition: unknown): this {
    this.condition = this.condition === undefined
      ? condition
      : new Condition("and", [this.condition, condition], this.site);
    return this;
  }
}

function operator(op: string) {
  const make = (...args: unknown[]): Condition => new Condition(op, args, site(make));
  return make;
}

const select = (field: unknown): Select => new Select(field, site(select));

/** What a filter gets as `q`. */
export const symbolicQuery = {
  eq: operator("eq"),
  neq: operator("neq"),
  gt: operator("gt"),
  gte: operator("gte"),
  lt: operator("lt"),
  lte: operator("lte"),
  and: operator("and"),
  or: operator("or"),
  not: operator("not"),
  in: operator("in"),
  arrayContains: operator("arrayContains"),
  select,
};

const contextPaths = new WeakMap<object, string>();
const getPath = contextPaths.get.bind(contextPaths);

/** The path of a value taken from `ctx` (`auth.userId`), or undefined for any other value. */
export function contextPath(value: unknown): string | undefined {
  return typeof value === "object" && value !== null ? getPath(value) : undefined;
}

/** What a filter gets as `ctx`: every property is another such object that knows its path. */
export function symbolicContext(path = ""): object {
  const proxy: object = new Proxy(Object.create(null), {
    get(_target, key) {
      if (typeof key === "symbol") {
        throw new TypeError(
          `ctx${path && "." + path} is not known yet: a sync filter is recorded, not run`,
        );
      }
      return symbolicContext(path ? `${path}.${key}` : key);
    },
  });
  contextPaths.set(proxy, path);
  return proxy;
}

// ---- tables

type Fields = Record<string, Validator>;

/** A document as a backfill sees it: optional fields that are not there are null. */
export type Row<F> = Flatten<
  & { _id: string }
  & {
    [K in keyof F]: F[K] extends Validator<infer T, infer P>
      ? P extends "required" ? T : T | null
      : never;
  }
>;

/** The same type where nothing can be written to; `any` stays. */
type Frozen<T> = 0 extends 1 & T ? T
  : T extends string | number | boolean | null | undefined | ArrayBuffer ? T
  : T extends readonly (infer E)[] ? readonly Frozen<E>[]
  : { readonly [K in keyof T]: Frozen<T[K]> };

/**
 * What the backfill of each field may return. Frozen, because the `const` that keeps the
 * literals of `() => "high"` makes lists readonly.
 */
export type BackfillValues<F> = {
  [K in keyof F]: F[K] extends Validator<infer T, infer P>
    ? P extends "required" ? Frozen<T> : Frozen<T> | null | undefined
    : never;
};

// deno-lint-ignore no-explicit-any
export interface TableBuilder<F = any> {
  /** An index over these fields, in this order. */
  index(name: string, fields: readonly (Extract<keyof F, string> | "_id")[]): this;
  /** A full-text index over one string field. */
  searchIndex(name: string, options: { searchField: Extract<keyof F, string> }): this;
  /** Which documents clients keep a copy of. */
  sync(options: SyncOptions<F>): this;
  /** Compute a column once for every document that exists when it is pushed. */
  backfill<K extends Extract<keyof F, string>, const R extends BackfillValues<F>[K]>(
    column: K,
    fn: (row: Row<F>) => R,
  ): this;
}

export interface TableCall {
  method: string;
  args: unknown[];
  site: Site;
}

export class TableRecord {
  readonly calls: TableCall[] = [];
  constructor(readonly fields: unknown, readonly extra: unknown[], readonly site: Site) {}

  private note(method: "index" | "searchIndex" | "sync" | "backfill", args: unknown[]): this {
    this.calls[this.calls.length] = { method, args, site: site(this[method]) };
    return this;
  }
  index(...args: unknown[]): this {
    return this.note("index", args);
  }
  searchIndex(...args: unknown[]): this {
    return this.note("searchIndex", args);
  }
  sync(...args: unknown[]): this {
    return this.note("sync", args);
  }
  backfill(...args: unknown[]): this {
    return this.note("backfill", args);
  }
}

/** One table and its fields. `_id` is there by itself and never declared. */
export function defineTable<F extends Fields>(fields: F): TableBuilder<F>;
export function defineTable(fields: unknown, ...extra: unknown[]): unknown {
  return new TableRecord(fields, extra, site(defineTable as (...args: never[]) => unknown));
}

/** A whole schema: the default export of schema.ts. */
export interface SchemaDefinition<T> {
  readonly [type]: T;
}

export class SchemaRecord {
  constructor(readonly tables: unknown, readonly extra: unknown[], readonly site: Site) {}
}

export function defineSchema<T extends Record<string, TableBuilder>>(
  tables: T,
): SchemaDefinition<T>;
export function defineSchema(tables: unknown, ...extra: unknown[]): unknown {
  return new SchemaRecord(tables, extra, site(defineSchema as (...args: never[]) => unknown));
}
