/** `npm run size -w web`: gzipped sizes of what a page loads; fails when one is over its budget. */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(web, "dist");
const chat = join(web, "demo", "dist", "chat");

/** Bytes after gzip -9. What a slow phone can be asked to load. */
const BUDGETS = [
  { what: "wasm", files: ["weft_bg.wasm"], budget: 507_000 },
  { what: "JavaScript", files: ["index.js", "core.js"], budget: 30_000 },
  // Loaded by who exports or imports an identity.
  { what: "passphrases", files: ["passphrase.js"], budget: 13_000 },
  // The wasm once more, in base64, which gzip cannot undo completely.
  { what: "inline, all in one", files: ["inline.js", "core.js"], budget: 530_000 },
];
// What the chat loads at first, the package included; what draws and reads codes, and the words, come when they are needed.
if (existsSync(chat)) BUDGETS.push({ what: "chat", files: scripts("app.js"), budget: 60_000 });

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

/** A script of the chat and those that it imports at once, as places in `dist`. */
function scripts(file, found = new Set()) {
  found.add(join("..", "demo", "dist", "chat", file));
  const text = readFileSync(join(chat, file), "utf8");
  for (const [, other] of text.matchAll(/(?:^|[;}])(?:import|export)\s*(?:[^"'();]*?from\s*)?"\.\/([^"]+)"/g))
    if (!found.has(join("..", "demo", "dist", "chat", other))) scripts(other, found);
  return [...found];
}
