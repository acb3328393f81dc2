/**
 * Reads objects as people type them: JSON, and also JavaScript's `{ rating: { $gte: 8 }, title: /ran/i, }`.
 *
 * No `eval`: the page's security policy forbids it, and what is typed may have been pasted.
 */

/** What is wrong with the text, and where. */
export class SyntaxProblem extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(message);
  }
}

/** The object that the text describes. Throws {@link SyntaxProblem}. */
export function parseObject(text: string): { [name: string]: unknown } {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof RegExp) {
    throw new SyntaxProblem("Write an object: { … }", 1, 1);
  }
  return value as { [name: string]: unknown };
}

/** Deeper than any document or query may be; the package says so with the path. */
const DEEPEST = 200;

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  value(depth: number): unknown {
    if (depth > DEEPEST) this.fail("That is nested too deeply");
    const next = this.peek();
    if (next === "{") return this.object(depth);
    if (next === "[") return this.array(depth);
    if (next === '"' || next === "'") return this.string();
    if (next === "/") return this.pattern();
    const word = this.take(/-?(?:\d[\w.]*(?:[eE][+-]?\d+)?|\.\d+)|[A-Za-z_$][\w$]*/y);
    if (word === "true") return true;
    if (word === "false") return false;
    if (word === "null") return null;
    if (word !== undefined && /^-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(word)) return Number(word);
    if (word !== undefined) this.fail(`${word} is no value; text needs quotes`, word.length);
    return this.fail(next === "" ? "Something is missing at the end" : `${next} cannot stand here`);
  }

  end(): void {
    const next = this.peek();
    if (next !== "") this.fail(`${next} follows after the end`);
  }

  private object(depth: number): object {
    const entries: [string, unknown][] = [];
    this.at += 1;
    while (this.peek() !== "}") {
      const quoted = this.peek() === '"' || this.peek() === "'";
      const name = quoted ? this.string() : this.take(/[A-Za-z_$][\w$]*/y);
      if (name === undefined) this.fail(this.peek() === "" ? "A } is missing" : "A name is missing here");
      if (this.peek() !== ":") this.fail(`A : is missing after ${name}`);
      this.at += 1;
      entries.push([name as string, this.value(depth + 1)]);
      this.separator("}");
    }
    this.at += 1;
    // Not by assignment: a member named __proto__ is a member like any other.
    return Object.fromEntries(entries);
  }

  private array(depth: number): unknown[] {
    const values: unknown[] = [];
    this.at += 1;
    while (this.peek() !== "]") {
      values.push(this.value(depth + 1));
      this.separator("]");
    }
    this.at += 1;
    return values;
  }

  private separator(end: string): void {
    const next = this.peek();
    if (next === ",") this.at += 1;
    else if (next !== end) this.fail(next === "" ? `A ${end} is missing` : "A comma is missing here");
  }

  private string(): string {
    const quote = this.peek();
    const start = this.at;
    // What stands between the quotes, as JSON would write it.
    let json = "";
    for (this.at += 1; this.text[this.at] !== quote; this.at += 1) {
      const character = this.text[this.at];
      if (character === undefined || character === "\n") {
        this.at = start;
        this.fail("The closing quote is missing");
      }
      if (character === "\\") {
        this.at += 1;
        const escaped = this.text[this.at] ?? "";
        json += escaped === "'" ? "'" : `\\${escaped}`;
      } else if (character === '"') json += '\\"';
      else json += character === "\t" ? "\\t" : character;
    }
    this.at += 1;
    try {
      return JSON.parse(`"${json}"`) as string;
    } catch {
      this.at = start;
      return this.fail("This text has a backslash too many or too few");
    }
  }

  private pattern(): RegExp {
    const start = this.at;
    const literal = this.take(/\/((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([a-z]*)/y);
    const end = literal?.lastIndexOf("/") ?? -1;
    if (literal === undefined) this.fail("The closing / of the pattern is missing");
    try {
      return new RegExp((literal as string).slice(1, end), (literal as string).slice(end + 1));
    } catch {
      this.at = start;
      return this.fail("This is no regular expression");
    }
  }

  /** The next character that is not blank, or "" at the end. */
  private peek(): string {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
    return this.text[this.at] ?? "";
  }

  private take(pattern: RegExp): string | undefined {
    this.peek();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  private fail(message: string, back = 0): never {
    const before = this.text.slice(0, this.at - back).split("\n");
    throw new SyntaxProblem(message, before.length, (before[before.length - 1]?.length ?? 0) + 1);
  }
}
