/**
 * Every TypeScript example that readers are shown, compiled strictly against the types of the installed package; and queries
 * for documents of a known type, of which the compiler and the parser have to think the same.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { examples, project, tool, write } from "./project.ts";

const DOCUMENTS = ["README.md", "web/README.md", "docs/guides/web.md", "docs/guides/connections.md"];

/** What the examples take from the app around them. */
const AROUND = `declare const someIdentity: string;
declare const signalers: string[];
declare const username: string;
declare const credential: string;
`;

/** `module`: how the compiler finds the package, as with a bundler or as Node does. */
function config(module: "ESNext" | "NodeNext"): string {
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2022", "DOM", "DOM.Iterable"],
    module,
    moduleResolution: module === "NodeNext" ? "NodeNext" : "bundler",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // The package's own declarations are checked as well.
    skipLibCheck: false,
    types: [],
    noEmit: true,
  };
  return JSON.stringify({ compilerOptions, include: ["*.ts"] });
}

/** An example as a module: one that shows only a call gets its import. */
function module(example: string): string {
  return example.includes("import ") ? example : `import { connect } from "weft-mesh";\n${example}`;
}

test("m5_every_documented_example_compiles_under_strict_types", (t) => {
  const files = DOCUMENTS.flatMap((file) =>
    examples(file).map((code, n) => [`${file.replaceAll(/\W/g, "-")}-${n}.ts`, module(code)] as const),
  );
  assert.ok(files.length >= 5, `only ${files.length} examples were found`);
  const dir = project(t, { "around.d.ts": AROUND, ...Object.fromEntries(files) });
  for (const kind of ["ESNext", "NodeNext"] as const) {
    write(dir, { "tsconfig.json": config(kind) });
    assert.equal(tool(dir, "tsc", "--project", "."), "", kind);
  }
});

test("m5_the_types_refuse_what_the_package_would_refuse", (t) => {
  const wrong = [
    "connect({});",
    'connect({ signalers: "ws://localhost:8190" });',
    'connect({ signalers: ["ws://localhost:8190"], name: undefined });',
    'connect({ signalers: [], store: "cookies" });',
    "new Query();",
    'declare const weft: Weft; weft.on("mesage", () => {});',
    'declare const weft: Weft; weft.send("z6Mk", "hi");',
    "declare const party: Party; party.publish(1);",
    'declare const party: Party; party.setState("typing");',
    "declare const party: Party; party.setState(undefined);",
    'declare const error: WeftError; error.code === "no-such-code";',
  ];
  const head = 'import { connect, type Party, Query, type Weft, type WeftError } from "weft-mesh";\n';
  const files = wrong.map((code, n) => [`wrong-${n}.ts`, `${head}void connect, Query;\n${code}\n`] as const);
  const dir = project(t, { "tsconfig.json": config("ESNext"), ...Object.fromEntries(files) });
  assert.throws(() => tool(dir, "tsc", "--project", ".", "--pretty", "false"), refusal(wrong.length));
});

/** A document of many types, and what it says. */
const FILM = `
export interface Film {
  title: string;
  genre: "Drama" | "Comedy";
  rating: number;
  votes: bigint;
  year?: number;
  studio: string | null;
  released: Date;
  poster: Uint8Array;
  seen: boolean;
  stars: 1 | 2 | 3;
  tags: string[];
  cast: readonly Role[];
  director: { name: string; born?: { year: number; place: string | null } };
  grid: number[][];
  rooms: { seats: number }[][];
  mixed: (string | { note: string })[];
  extra: Record<string, unknown>;
  raw: any;
  unknown: unknown;
  object: object;
  sequel: Film | null;
  "Major Genre"?: string;
  5: string;
}
export type Role = { name: string; weight?: number; aka: string[] };

export const sequel: Film = {
  title: "Ran", genre: "Drama", rating: 8.2, votes: 5n, studio: null, released: new Date(5), poster: new Uint8Array([1, 2]),
  seen: true, stars: 2, tags: ["war", "family"], cast: [{ name: "Tatsuya", aka: ["Hidetora", "Lord"] }, { name: "Mieko", weight: 4, aka: [] }],
  director: { name: "Akira", born: { year: 1910, place: null } }, grid: [[1, 2], [3]], rooms: [[{ seats: 4 }]],
  mixed: ["a", { note: "b" }], extra: { a: { b: 1 } }, raw: { a: 1 }, unknown: [{ a: 1 }], object: { a: 1 }, sequel: null,
  "Major Genre": "Drama", 5: "five",
};
export const film: Film = { ...sequel, sequel };
`;

/** Queries for that document, which it matches. */
const RIGHT = [
  "{}",
  '{ title: "Ran", rating: 8.2, seen: true, genre: "Drama", stars: 2, studio: null, year: null, released: new Date(5) }',
  '{ votes: 5, "Major Genre": "Drama", 5: "five", poster: new Uint8Array([1, 2]) }',
  "{ poster: new Uint8Array([1, 2]).buffer, votes: { $eq: 5n, $in: [4, 5n] }, rating: { $gt: 8n } }",
  '{ title: { $gte: "R", $lt: "S" }, rating: { $gt: 8, $lte: 8.2 }, released: { $lt: new Date(6) }, poster: { $gt: new Uint8Array() } }',
  '{ title: /^r/i, genre: /rama/, tags: /^fam/, "cast.name": /^M/ }',
  '{ title: { $regex: "^r", $options: "i" }, tags: { $regex: /WAR/i } }',
  '{ title: { $ne: "x", $nin: ["y", /^z/], $in: ["Ran", /x/, { $regex: "y", $options: "i" }] }, year: { $in: [null, 5] } }',
  '{ genre: { $in: ["Drama"] }, stars: { $in: [1, 2], $gt: 1 }, studio: { $ne: "x", $in: [null, /x/] } }',
  "{ title: { $exists: true }, year: { $exists: 0 }, rating: { $exists: 1 } }",
  '{ title: { $type: "string" }, rating: { $type: ["int", "double", 10] }, votes: { $type: 18 }, tags: { $type: "array" } }',
  '{ votes: { $mod: [2, 1] }, rating: { $mod: [4n, 0] }, title: { $contains: "an" }, tags: { $contains: "war" } }',
  '{ title: { $not: /x/ }, rating: { $not: { $gt: 9, $lt: 10 } }, tags: { $not: { $regex: "x" }, $size: 2 } }',
  '{ tags: "war" }',
  '{ tags: ["war", "family"] }',
  '{ tags: { $eq: ["war", "family"], $in: ["x", ["war", "family"]], $gt: "v", $size: 2n } }',
  '{ tags: { $all: ["war", /fam/] }, "tags.0": "war", "tags.1": { $regex: "^f" } }',
  '{ tags: { $elemMatch: { $gt: "g", $ne: "x", $not: /y/ } } }',
  "{ tags: { $elemMatch: /^w/ } }",
  '{ "cast.name": "Mieko", "cast.0.name": "Tatsuya", "cast.weight": 4, "cast.0.weight": null, "cast.1.weight": { $gt: 3 } }',
  '{ "cast.aka": "Lord", "cast.0.aka.1": "Lord", "cast.aka.0": "Hidetora", "cast.0.aka": ["Hidetora", "Lord"] }',
  '{ cast: { $elemMatch: { name: "Mieko", weight: { $gte: 4 }, $or: [{ aka: { $size: 0 } }] } } }',
  '{ cast: { $all: [{ $elemMatch: { name: "Mieko" } }, { $elemMatch: { name: /Ta/ } }], $size: 2 } }',
  '{ cast: { name: "Mieko", weight: 4, aka: [] }, "cast.1": { name: "Mieko", weight: 4, aka: [] } }',
  '{ "director.name": "Akira", "director.born.year": { $lt: 1911 }, "director.born.place": null, director: { $type: "object" } }',
  '{ director: { name: "Akira", born: { year: 1910, place: null } } }',
  '{ grid: [1, 2], "grid.0": [1, 2], "grid.0.1": 2, "grid.1": { $size: 1, $contains: 3, $elemMatch: { $gt: 2 } } }',
  '{ grid: { $elemMatch: { $size: 1 }, $contains: [3] }, "rooms.0.seats": 4, "rooms.0.0.seats": 4 }',
  '{ grid: { $elemMatch: { 1: 2 } }, rooms: { $elemMatch: { "0.seats": { $gt: 3 } } } }',
  '{ mixed: "a", "mixed.note": "b", "mixed.1.note": { $in: ["b"] } }',
  '{ extra: { a: { b: 1 } }, "extra.a.b": 1, raw: { a: 1 }, "raw.a": { $lt: 2 }, unknown: { $size: 1 }, "unknown.0.a": 1, "object.a": 1 }',
  '{ $and: [{ title: "Ran" }, { $or: [{ rating: 1 }, { "cast.name": "Mieko" }] }], $nor: [{ seen: false }, { $and: [{ year: 5 }] }] }',
  '{ "sequel.title": "Ran", "sequel.cast.0.aka": "Lord", "sequel.sequel": null, "sequel.sequel.sequel.title": null }',
];

/** Queries that the parser refuses, too. */
const WRONG = [
  "{ rating: { $gtee: 8 } }",
  "{ rating: { gte: 8, $lt: 9 } }",
  "{ $gt: 4 }",
  '{ $not: { title: "x" } }',
  '{ $or: { title: "x" } }',
  '{ title: { $or: [{ title: "x" }] } }',
  '{ $or: [{ title: { $startsWith: "R" } }] }',
  '{ title: { $in: "Ran" } }',
  '{ title: { $nin: "Ran" } }',
  '{ title: { $in: [{ $gt: "R" }] } }',
  "{ title: { $regex: 5 } }",
  "{ title: { $regex: /x/, $options: true } }",
  '{ title: { $not: "x" } }',
  '{ title: { $exists: "yes" } }',
  '{ title: { $type: "strng" } }',
  "{ title: { $type: 6 } }",
  "{ rating: { $mod: 2 } }",
  "{ rating: { $mod: [2] } }",
  '{ rating: { $mod: [2, "0"] } }',
  '{ tags: { $size: "2" } }',
  '{ tags: { $all: "war" } }',
  '{ cast: { $all: [{ $elemMatch: { name: "x" } }, { name: "y", aka: [] }] } }',
  '{ tags: { $elemMatch: "war" } }',
  "{ cast: { $elemMatch: { name: { $gtee: 4 } } } }",
  '{ "cast.0.aka": { $any: ["x"] } }',
];

/** Queries that the parser cannot know to be meaningless. */
const MEANINGLESS = [
  '{ titel: "Ran" }',
  '{ title: "Ran", "cast.nmae": "x" }',
  '{ "cast.0.nmae": "x" }',
  '{ "cast.first.name": "x" }',
  '{ "title.length": 3 }',
  '{ "rooms.seats": 4 }',
  "{ title: 5 }",
  "{ title: null }",
  "{ title: { $in: [5] } }",
  "{ title: { $in: [null] } }",
  '{ rating: "8" }',
  '{ rating: { $gt: "8" } }',
  "{ rating: { $ne: null } }",
  '{ rating: { $regex: "8" } }',
  "{ rating: /8/ }",
  "{ rating: { $in: [/8/] } }",
  "{ rating: { $size: 1 } }",
  '{ rating: { $contains: "8" } }',
  "{ rating: { $not: /8/ } }",
  '{ title: { $mod: [2, 0] }, genre: "Drama" }',
  "{ title: { $contains: /x/ } }",
  '{ title: { $elemMatch: { $gt: "x" } } }',
  '{ genre: "Darma" }',
  '{ genre: { $in: ["Drama", "Darma"] } }',
  "{ stars: 4 }",
  "{ seen: { $gt: false } }",
  "{ released: 5 }",
  "{ released: { $gt: 5 } }",
  '{ poster: "AQI=" }',
  "{ tags: 5 }",
  "{ tags: [5] }",
  "{ tags: { $contains: 5 } }",
  '{ "tags.0": ["war"] }',
  '{ "grid.0": 1 }',
  '{ "grid.0.0": "1" }',
  "{ cast: { $elemMatch: { nmae: /x/ } } }",
  "{ cast: { $elemMatch: { name: 5 } } }",
  '{ director: { name: "Akira", bron: { year: 1910, place: null } } }',
  '{ director: { name: { $gt: "A" } } }',
  '{ "director.born": { $gt: 5 } }',
  '{ "mixed.nope": 1 }',
  '{ $or: [{ titel: "x" }] }',
  '{ $and: [{ $nor: [{ "director.bron.year": 1 }] }] }',
  '{ "sequel.sequel.titel": "x" }',
  '{ "sequel.cast.name": 5 }',
];

test("every_typed_query_compiles_and_matches_at_run_time", (t) => {
  const head =
    'import { Query, type Filter, type Party } from "weft-mesh";\nimport { film, type Film } from "./film.js";\n';
  const queries = `export { film };\nexport const queries: readonly Filter<Film>[] = [\n${RIGHT.join(",\n")},\n];\n`;
  const used = `export function use(party: Party): void {\n${RIGHT.map((query) => `  party.subscribe<Film>(${query});\n  new Query<Film>(${query});\n`).join("")}}\n`;
  const dir = project(t, { "film.ts": FILM, "queries.ts": head + queries + used });
  for (const kind of ["ESNext", "NodeNext"] as const) {
    write(dir, { "tsconfig.json": config(kind) });
    assert.equal(tool(dir, "tsc", "--project", "."), "", kind);
  }
  // What the compiler takes, the parser takes, and a path that the types allow leads somewhere.
  tool(
    dir,
    "esbuild",
    "queries.ts",
    "--bundle",
    "--format=esm",
    "--external:weft-mesh",
    "--outfile=queries.mjs",
  );
  const script = `
    import { Query, ready } from "weft-mesh";
    import { film, queries } from "./queries.mjs";
    await ready();
    console.log(JSON.stringify(queries.map((query) => new Query(query).explain(film).failures)));`;
  const failures = JSON.parse(node(dir, script)) as unknown[][];
  assert.equal(failures.length, RIGHT.length);
  failures.forEach((failed, n) => {
    assert.deepEqual(failed, [], RIGHT[n]);
  });
});

test("the_types_refuse_what_no_document_of_the_type_can_match", (t) => {
  const wrong = [...WRONG, ...MEANINGLESS];
  const head = 'import type { Filter } from "weft-mesh";\nimport type { Film } from "./film.js";\n';
  const files = wrong.map((query, n) => [
    `wrong-${n}.ts`,
    `${head}export const query: Filter<Film> = ${query};\n`,
  ]);
  const dir = project(t, {
    "tsconfig.json": config("ESNext"),
    "film.ts": FILM,
    ...Object.fromEntries(files),
  });
  assert.throws(() => tool(dir, "tsc", "--project", ".", "--pretty", "false"), refusal(wrong.length));
});

test("the_parser_refuses_the_operators_that_the_types_refuse", (t) => {
  const script = `
    import { Query, ready } from "weft-mesh";
    await ready();
    const code = (query) => { try { return new Query(query).matches({}); } catch (error) { return error.code; } };
    console.log(JSON.stringify([[${WRONG.join(", ")}], [${MEANINGLESS.join(", ")}]].map((list) => list.map(code))));`;
  const [wrong, meaningless] = JSON.parse(node(project(t), script)) as [unknown[], unknown[]];
  wrong.forEach((code, n) => {
    assert.equal(code, "bad-query", WRONG[n]);
  });
  // That these are refused is of use only because the parser does not know.
  meaningless.forEach((matches, n) => {
    assert.equal(typeof matches, "boolean", MEANINGLESS[n]);
  });
});

test("a_wrong_query_is_refused_in_words_that_help", (t) => {
  const said = [
    ['{ titel: "Ran" }', /'titel' does not exist in type 'Filter<Film>'\. Did you mean to write 'title'\?/],
    [
      "{ rating: { $gtee: 8 } }",
      /'\$gtee' does not exist in type 'Operators<number>'\. Did you mean to write '\$gte'\?/,
    ],
    ['{ rating: { $regex: "8" } }', /'\$regex' does not exist in type 'Operators<number>'/],
    ['{ rating: { $gt: "8" } }', /'string' is not assignable to type 'number \| bigint/],
    ['{ genre: "Darma" }', /Did you mean '"Drama"'\?/],
  ] as const;
  const head = 'import type { Filter } from "weft-mesh";\nimport type { Film } from "./film.js";\n';
  const files = said.map(([query], n) => [
    `wrong-${n}.ts`,
    `${head}export const query: Filter<Film> = ${query};\n`,
  ]);
  const dir = project(t, {
    "tsconfig.json": config("ESNext"),
    "film.ts": FILM,
    ...Object.fromEntries(files),
  });
  assert.throws(
    () => tool(dir, "tsc", "--project", ".", "--pretty", "false"),
    ({ message }: Error) => {
      for (const [, words] of said) assert.match(message, words);
      return true;
    },
  );
});

test("a_type_argument_and_nothing_else_makes_a_query_typed", (t) => {
  const head = `import { type Document, type Filter, type Operators, type Party, type Path, Query, type Subscription } from "weft-mesh";
import type { Film } from "./film.js";
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const is = <T extends true>(..._: T[]): void => {};
declare const party: Party;
declare const untyped: Filter;
declare const typed: Filter<Film>;
export interface Book { isbn: string; pages: number }
`;
  const right = `
export const query = new Query({ a: { $gt: 4 }, "b.c": [/x/], about: 1, matches: 2, $or: [{ d: 1 }] });
is<Same<typeof query, Query>>();
export const plain = party.subscribe({ titel: "x", $and: [{ a: { $gtee: 1 } }] });
is<Same<typeof plain, Subscription<Document>>>();
export const given = party.subscribe<Film>({ title: "x" });
is<Same<typeof given, Subscription<Film>>>();
export const wanted: Subscription<Film> = party.subscribe({ title: "x" });
export const ready = party.subscribe(new Query<Film>({ title: "x" }));
is<Same<typeof ready, Subscription<Film>>>();
export const declared = party.subscribe(typed);
is<Same<typeof declared, Subscription<Film>>>();
// A query that came as text goes wherever a typed one does.
party.subscribe<Film>(untyped);
party.subscribe<Film>(query);
export const back: Filter = typed;
export const either: Query = new Query<Film>(typed);
export const base = party.subscribe<Film>(new Query<{ title: string }>({ title: "x" }));
export const matcher: { matches(document: object): boolean } = new Query<Film>({});
new Query<Film>({}).matches({ another: "document" });
export function watch<T extends object>(filter: Filter<T>, query: Query<T>): Subscription<T>[] {
  return [party.subscribe<T>(filter), party.subscribe<T>(query), party.subscribe<T>(new Query<T>(filter))];
}
watch<Film>({ title: "x" }, new Query<Film>({}));
export const good: Operators<Film["rating"]> = { $gte: 8 };
export const parts: Filter<Film>[] = [{ rating: good }, { $or: [1, 2].map((stars) => ({ "cast.weight": stars })) }];
export const at = (n: bigint): Path<Film> => \`cast.\${n}.name\`;
export const paths: Path<Film>[] = ["title", "cast.name", "cast.0.aka.1", "director.born.year", "extra.of.any.kind"];
// What has no names, or names that nobody can list, is not checked.
export const open: [Filter<any>, Filter<unknown>, Filter<object>, Filter<{}>, Filter<Record<string, number>>, Filter<Document & Film>] =
  [{ a: 1 }, { a: 1 }, { a: 1 }, { a: 1 }, { a: "x" }, { a: { $gtee: 1 } }];
export const union: Filter<{ kind: "a"; a: number } | { kind: "b"; b: string[] }>[] = [{ kind: "a", a: 4 }, { kind: "b", b: "x" }, { a: null }];
`.replaceAll("\\`", "`");
  const wrong = [
    'party.subscribe<Film>({ titel: "x" });',
    "new Query<Film>({ rating: { $gtee: 8 } });",
    "party.subscribe<Film>(new Query<Book>({ pages: 1 }));",
    "export const sub: Subscription<Film> = party.subscribe({ ratin: 8 });",
    'export const path: Path<Film> = "cast.nmae";',
    'export const good: Operators<number> = { $regex: "x" };',
    'export const kind: Filter<{ kind: "a" } | { kind: "b" }> = { kind: "c" };',
    'export const dotted: Filter<{ "a.b": number; c: number }> = { "a.b": 1 };',
    "export const dollar: Filter<{ $a: number; c: number }> = { $a: 1 };",
    "export const method: Filter<{ a: number; b(): number }> = { b: 1 };",
  ];
  const unused = "void [party, untyped, typed, Query];\n";
  const lines = (head + unused).split("\n").length;
  const files = wrong.map((code, n) => [`wrong-${n}.ts`, `${head}${unused}${code}\n`]);
  const dir = project(t, { "tsconfig.json": config("ESNext"), "film.ts": FILM, "right.ts": head + right });
  assert.equal(tool(dir, "tsc", "--project", "."), "");
  write(dir, Object.fromEntries(files));
  assert.throws(() => tool(dir, "tsc", "--project", ".", "--pretty", "false"), refusal(wrong.length, lines));
});

test("recursive_types_cost_the_compiler_little", (t) => {
  const dense = Array.from({ length: 12 }, (_, n) => {
    const members = Array.from({ length: 12 }, (_, to) => `to${to}: T${to}; all${to}?: T${to}[];`);
    return `interface T${n} { name: string; own${n}: number; ${members.join(" ")} }`;
  });
  const code = `import type { Filter } from "weft-mesh";
interface List { value: number; next?: List | null }
interface Tree { value: number; left?: Tree; right?: Tree; all: Tree[]; grid: readonly (readonly Tree[])[] }
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
${dense.join("\n")}
export const list: Filter<List> = { "next.next.next.value": { $gt: 3 }, "${"next.".repeat(12)}value": "taken as it comes" };
export const tree: Filter<Tree> = { "left.right.all.0.value": 5, "all.all.left.value": { $in: [1, 2] }, "all.left": null, "grid.0.1.value": 3 };
export const json: Filter<{ id: string; data: Json }> = { id: "x", data: { $size: 4 }, "data.a.0.b": 5 };
export const many: Filter<T0> = { "to3.name": "x", "all5.own5": { $gt: 3 }, "all5.0.own5": 3, "to3.to4.to5.to6.to7.name": "x" };
export const page: Filter<HTMLElement> = { id: "x" };
`;
  const dir = project(t, { "tsconfig.json": config("ESNext"), "deep.ts": code });
  const said = tool(dir, "tsc", "--project", ".", "--extendedDiagnostics");
  const instantiations = Number(/^Instantiations:\s+(\d+)/m.exec(said)?.[1]);
  assert.ok(instantiations < 2_000_000, said);
  const wrong = [
    'export const list: Filter<List> = { "next.next.value": "3" };',
    'export const tree: Filter<Tree> = { "left.all.right.vlaue": 3 };',
    "export const many: Filter<T0> = { own1: 3 };",
    'export const many: Filter<T0> = { "to3.own4": 3 };',
  ];
  const before = code.slice(0, code.indexOf("export"));
  const line = before.split("\n").length;
  write(dir, Object.fromEntries(wrong.map((query, n) => [`wrong-${n}.ts`, `${before}${query}\n`])));
  assert.throws(() => tool(dir, "tsc", "--project", ".", "--pretty", "false"), refusal(wrong.length, line));
});

/** Runs a module in the project and gives what it prints. */
function node(dir: string, script: string): string {
  const argv = ["--input-type=module", "--eval", script];
  return execFileSync(process.execPath, argv, { cwd: dir, encoding: "utf8" });
}

/** Holds of an error in which each of the wrong files, and nothing else, is complained about in this line. */
function refusal(count: number, line = 3): (error: Error) => boolean {
  return ({ message }) => {
    const places = [...message.matchAll(/^(\S+\.ts)\((\d+),\d+\): error/gm)].map(
      ([, file, line]) => `${file}:${line}`,
    );
    const wanted = Array.from({ length: count }, (_, n) => `wrong-${n}.ts:${line}`).sort();
    assert.deepEqual([...new Set(places)].sort(), wanted, message);
    return true;
  };
}
