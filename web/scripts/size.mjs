/** `npm run size -w web`: gzipped sizes of what a page loads; fails when one is over its budget. */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");

/** Bytes after gzip -9. What a slow phone can be asked to load. */
const BUDGETS = [
  { what: "wasm", files: ["weft_bg.wasm"], budget: 345_000 },
  { what: "JavaScript", files: ["index.js", "core.js"], budget: 30_000 },
  // The wasm once more, in base64, which gzip cannot undo completely.
  { what: "inline, all in one", files: ["inline.js", "core.js"], budget: 370_000 },
];

let over = false;
for (const { what, files, budget } of BUDGETS) {
  const size = files.reduce(
    (sum, file) => sum + gzipSync(readFileSync(join(dist, file)), { level: 9 }).length,
    0,
  );
  over ||= size > budget;
  console.log(`${what}: ${size} bytes gzipped, budget ${budget}${size > budget ? " EXCEEDED" : ""}`);
}
process.exitCode = over ? 1 : 0;
