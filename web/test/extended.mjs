/** The extended forms of the golden vectors (docs/spec/query.md) as JavaScript values. */

import { readFileSync } from "node:fs";

/** The cases of tests/vectors/NAME.json; `whole` marks those with a whole float, which JavaScript cannot tell from an integer. */
export function vectors(name) {
  const text = readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), "utf8");
  const cases = JSON.parse(text);
  const lines = text.split("\n").filter((line) => line.startsWith("{"));
  return cases.map((each, at) => ({
    ...each,
    text: lines.length === cases.length ? lines[at] : JSON.stringify(each),
  }));
}

/** A value with extended forms as the value it stands for. */
export function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const names = Object.keys(value);
  const operand = value[names[0]];
  if (names.length === 1) {
    if (names[0] === "$date") return new Date(operand);
    if (names[0] === "$bytes") return new Uint8Array(Buffer.from(operand, "base64"));
    if (names[0] === "$int") return BigInt(operand);
    if (names[0] === "$float") return Number(operand);
    if (names[0] === "$object") return members(operand);
  }
  return members(value);
}

function members(object) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, plain(value)]));
}

/**
 * The truth tables of docs/spec/query.md: columns with a document each and rows with a query each, in extended forms, and whether
 * it matches them.
 */
export function truthTables() {
  const page = readFileSync(new URL("../../docs/spec/query.md", import.meta.url), "utf8");
  const [section] = page.split("### Truth tables\n")[1].split("\n### ");
  return section
    .split("\n#### ")
    .slice(1)
    .map((part) => {
      const [title, ...lines] = part.split("\n");
      const cells = lines
        .filter((line) => line.startsWith("|"))
        .map((line) => line.split("|").slice(1, -1).map(trimmed));
      const [[kind, ...heads], , ...body] = cells;
      const whole = (cell) => (kind === "query" ? relaxed(cell) : { a: relaxed(cell) });
      const columns = heads.map((column) => ({ column, document: column === "–" ? {} : whole(column) }));
      const rows = body.map(([condition, ...ticks]) => ({
        condition,
        query: whole(condition),
        ticks: ticks.map((tick) => tick === "✓"),
      }));
      return { title, columns, rows };
    });
}

function trimmed(cell) {
  return cell.trim().replace(/^`|`$/g, "");
}

/** JSON in which quotes around names may be left out, and the doubles that JSON lacks are words. */
function relaxed(text) {
  const token = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b|[A-Za-z_$][\w$]*(?=\s*:)/g;
  const json = text.replace(token, (found) => {
    if (found.startsWith('"')) return found;
    return /^(-?Infinity|NaN)$/.test(found) ? `{"$float":"${found}"}` : `"${found}"`;
  });
  return JSON.parse(json);
}
