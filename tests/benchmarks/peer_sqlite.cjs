// The two ways that better-sqlite3 offers to fill a column with a JavaScript function.
// Arguments: method (loop | udf), case, database. Prints seconds from open to COMMIT.

const Database = require("better-sqlite3");
const [method, name, path] = process.argv.slice(2);

const mapping = (priority) => {
  const values = { high: 3, medium: 2, low: 1 };
  return values[priority] ?? 1;
};
const slug = (title, id) =>
  `${title.trim().toLowerCase().replace(/\s+/g, "-")}-${id.slice(0, 6)}`;
const joined = (a, b, c, d, e, f, g) => [a, b, c, d, e, f, g].join("|");

const cases = {
  map: { reads: "priority", call: mapping, value: (row) => mapping(row.priority) },
  slug: { reads: "title, _id", call: slug, value: (row) => slug(row.title, row._id) },
  all: {
    reads: "_id, _version, title, completed, userId, priority, out",
    call: joined,
    value: (row) => Object.values(row).join("|"),
  },
};
const { reads, call, value } = cases[name];
const began = process.hrtime.bigint();
const database = new Database(path);
database.exec("BEGIN IMMEDIATE");
if (method === "loop") {
  // A statement may not write while another is being stepped through, hence pages by rowid.
  const page = database.prepare("SELECT rowid AS _rowid, * FROM todos WHERE rowid > ? ORDER BY rowid LIMIT 1000");
  const update = database.prepare("UPDATE todos SET out = ? WHERE rowid = ?");
  for (let last = 0, rows; (rows = page.all(last)).length > 0;) {
    for (const { _rowid, ...row } of rows) update.run(value(row), (last = _rowid));
  }
} else {
  database.function("valet_value", { deterministic: true }, call);
  database.exec(`UPDATE todos SET out = valet_value(${reads})`);
}
database.exec("COMMIT");
console.log(Number(process.hrtime.bigint() - began) / 1e9);
