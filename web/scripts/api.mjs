/** The API report: the declarations that the package ships, without comments. A change of it is a change for users. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The report of a built dist/, as Markdown. */
export async function apiReport(dist) {
  const files = (await readdir(dist)).filter((file) => file.endsWith(".d.ts")).sort();
  const parts = files.map(
    async (file) => `## ${file}\n\n\`\`\`ts\n${bare(await readFile(join(dist, file), "utf8"))}\n\`\`\`\n`,
  );
  const note = "Made by `npm run build -w web -- --write-api`; the tests compare it with what is built.";
  return `# Public types of weft-mesh\n\n${note}\n\n${(await Promise.all(parts)).join("\n")}`;
}

/** A declaration file without comments and blank lines. */
function bare(text) {
  const lines = text.replace(/\/\*\*?[\s\S]*?\*\//g, "").split("\n");
  return lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && !/^\s*\/\/(?!\/)/.test(line))
    .join("\n");
}
