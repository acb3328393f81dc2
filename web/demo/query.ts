/** The query: checked as it is typed, explained on a sample, subscribed to when one says so. */

import { type Filter, Query, WeftError } from "weft-mesh";
import { $, h, say } from "./dom.js";
import { operandOf } from "./operand.js";
import { parseObject, SyntaxProblem } from "./relaxed.js";
import { EXAMPLES, FIRST_QUERY, SAMPLE } from "./samples.js";

/** What is done with a query that somebody wants. */
export type Subscribe = (
  query: Filter,
  options: { readonly backlog: boolean; readonly text: string },
) => void;

/** Puts life into the editor and subscribes to the first query. */
export function startQuery(first: string | undefined, subscribe: Subscribe): void {
  new Editor(subscribe).begin(first ?? FIRST_QUERY);
}

class Editor {
  private readonly input = $<HTMLTextAreaElement>("query");
  private readonly sample = $<HTMLTextAreaElement>("sample");
  private readonly button = $<HTMLButtonElement>("subscribe");
  private readonly backlog = $<HTMLInputElement>("backlog");
  /** What is subscribed to at the moment. */
  private current: string | undefined;

  constructor(private readonly subscribe: Subscribe) {
    this.input.addEventListener("input", () => this.check());
    this.backlog.addEventListener("change", () => this.check());
    this.sample.addEventListener("input", () => this.check());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.submit();
    });
    $("query-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    for (const { label, query } of EXAMPLES) {
      const chip = h(
        "button",
        { type: "button", class: "chip", "data-testid": "query-chip", "data-query": query },
        label,
      );
      chip.addEventListener("click", () => {
        this.write(query);
        this.submit();
      });
      $("chips").append(chip);
    }
  }

  begin(query: string): void {
    this.sample.value = SAMPLE;
    this.write(query);
    this.submit();
  }

  private write(query: string): void {
    this.input.value = query;
  }

  private submit(): void {
    const query = this.check();
    if (query === undefined) {
      this.input.focus();
      return;
    }
    this.current = this.fingerprint();
    this.subscribe(query, { backlog: this.backlog.checked, text: this.input.value });
    this.check();
  }

  private fingerprint(): string {
    return `${this.backlog.checked} ${this.input.value.trim()}`;
  }

  /** Looks at what is typed; gives the query if it is one. */
  private check(): Filter | undefined {
    // Tall enough for what is in it, within what CSS allows.
    this.input.rows = Math.max(2, this.input.value.split("\n").length);
    for (const chip of document.querySelectorAll("#chips button")) {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("data-query") === this.input.value.trim()));
    }
    const checked = parse(this.input.value);
    this.show(checked);
    if ("problem" in checked) return undefined;
    const { filter, query } = checked;
    this.explain(filter, query);
    return filter;
  }

  private show(checked: Checked): void {
    const status = $("query-status");
    const bad = "problem" in checked;
    const active = this.current === this.fingerprint();
    status.setAttribute("data-valid", String(!bad));
    this.input.setAttribute("aria-invalid", String(bad));
    // Not `disabled`: that would take the focus from whoever has just pressed it.
    this.button.setAttribute("aria-disabled", String(bad || active));
    say(this.button, active ? "Subscribed" : "Subscribe");
    status.className = bad ? "status bad" : "status good";
    if (!bad) {
      status.replaceChildren(active ? "You get what matches this." : "A valid query. Subscribe to use it.");
      return;
    }
    const { path, message, hint } = checked.problem;
    const words = plain(message, path, hint);
    status.replaceChildren(
      h(
        "p",
        { "data-testid": "query-error" },
        path === undefined ? undefined : h("code", { "data-testid": "query-path" }, path),
        words,
      ),
    );
    if (hint !== undefined && !words.includes(hint))
      status.append(h("p", { class: "hint", "data-testid": "query-hint" }, hint));
    $("explanation").replaceChildren(
      h("p", { class: "status quiet" }, "Once the query is valid, it is tried on the sample here."),
    );
  }

  private explain(filter: Filter, query: Query): void {
    const box = $("explanation");
    let sample: { [name: string]: unknown };
    try {
      sample = parseObject(this.sample.value);
      const { matches, failures } = query.explain(sample);
      const verdict = matches ? "The sample matches." : "The sample does not match:";
      box.replaceChildren(
        h(
          "p",
          { class: matches ? "status good" : "status bad", "data-matches": matches ? "yes" : "no" },
          verdict,
        ),
      );
      const list = h("ul", { class: "failures plain-list" });
      for (const { term, field, reason } of failures) {
        // Reasons that end in the operator say what was found, but not what was wanted.
        const operand = / \$\w+$/.test(reason) ? operandOf(filter, term, field) : undefined;
        list.append(
          h("li", {}, h("code", {}, term), operand === undefined ? reason : `${reason} ${operand}`),
        );
      }
      if (failures.length > 0) box.append(list);
    } catch (error) {
      const where = error instanceof SyntaxProblem ? ` (line ${error.line}, column ${error.column})` : "";
      const words = error instanceof Error ? error.message : String(error);
      box.replaceChildren(h("p", { class: "status bad" }, `The sample: ${words}${where}`));
    }
  }
}

/** The message without what is shown beside it anyway. */
function plain(message: string, path: string | undefined, hint: string | undefined): string {
  const short = path === undefined ? message : message.replace(` at ${path}`, "").replace(`${path}: `, "");
  // What follows is the hint, in these words or more.
  const end = hint === undefined ? -1 : short.lastIndexOf("; ");
  return end < 0 ? short : short.slice(0, end);
}

type Problem = {
  readonly message: string;
  readonly path?: string | undefined;
  readonly hint?: string | undefined;
};
type Checked = { readonly filter: Filter; readonly query: Query } | { readonly problem: Problem };

function parse(text: string): Checked {
  try {
    const filter = parseObject(text);
    return { filter, query: new Query(filter) };
  } catch (error) {
    if (error instanceof SyntaxProblem) {
      return { problem: { message: error.message, path: `line ${error.line}, column ${error.column}` } };
    }
    if (error instanceof WeftError) return { problem: error };
    throw error;
  }
}
