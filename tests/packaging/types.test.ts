/** Every TypeScript example that readers are shown, compiled strictly against the types of the installed package. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { examples, project, tool, write } from "./project.ts";

const DOCUMENTS = ["README.md", "web/README.md", "docs/guides/web.md"];

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
    'declare const error: WeftError; error.code === "no-such-code";',
  ];
  const head = 'import { connect, type Party, Query, type Weft, type WeftError } from "weft-mesh";\n';
  const files = wrong.map((code, n) => [`wrong-${n}.ts`, `${head}void connect, Query;\n${code}\n`] as const);
  const dir = project(t, { "tsconfig.json": config("ESNext"), ...Object.fromEntries(files) });
  assert.throws(() => tool(dir, "tsc", "--project", ".", "--pretty", "false"), refusal(wrong.length));
});

/** Holds of an error in which each of the wrong files, and nothing else, is complained about in its third line. */
function refusal(count: number): (error: Error) => boolean {
  return ({ message }) => {
    const places = [...message.matchAll(/^(\S+\.ts)\((\d+),\d+\): error/gm)].map(
      ([, file, line]) => `${file}:${line}`,
    );
    const wanted = Array.from({ length: count }, (_, n) => `wrong-${n}.ts:3`);
    assert.deepEqual([...new Set(places)].sort(), wanted, message);
    return true;
  };
}
