/** `cargo xtask bench size`: what a page loads of the packed npm package, after gzip -9. Fails over a bar. */
import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { tarball } from "../tests/e2e/site.ts";

/** Most bytes after gzip -9. */
const BARS = [
  { what: "wasm", files: ["weft_bg.wasm"], most: 210_000 },
  { what: "glue and API", files: ["index.js", "core.js"], most: 30_000 },
];
/** Larger than any file of the package. */
const MAX_BUFFER = 16 * 1024 * 1024;

const path = tarball();
const read = (file: string) =>
  execFileSync("tar", ["xzOf", path, `package/dist/${file}`], { maxBuffer: MAX_BUFFER });

console.log("| part | files | bytes | gzip -9 | bar |  |\n|---|---|---|---|---|---|");
for (const { what, files, most } of BARS) {
  const parts = files.map(read);
  const plain = parts.reduce((sum, part) => sum + part.length, 0);
  const zipped = parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0);
  const verdict = zipped <= most ? "reached" : "MISSED";
  console.log(`| ${what} | ${files.join(", ")} | ${plain} | ${zipped} | <= ${most} | ${verdict} |`);
  if (zipped > most) process.exitCode = 1;
}
