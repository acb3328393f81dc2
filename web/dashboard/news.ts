/** What happens, as it happens, the newest first. */

import { $, h, say, show } from "../demo/dom.js";
import type { Change } from "./api.js";
import { clock, count, hostOf, key } from "./words.js";

/** Lines that are kept. */
const MOST = 100;

export type Tone = "good" | "bad" | "warn" | "plain";

/** Adds a line. */
export function tell(text: string, tone: Tone = "plain", at = Date.now()): HTMLElement {
  const list = $("news");
  const words = h("span", {}, text);
  list.prepend(
    h(
      "li",
      { class: tone, "data-testid": "news" },
      h("time", { datetime: new Date(at).toISOString() }, clock(at)),
      words,
    ),
  );
  while (list.children.length > MOST) list.lastElementChild?.remove();
  show($("no-news"), false);
  queue = undefined;
  return words;
}

/** Adds a change that the signaler told of; `named` knows signalers by their keys. */
export function report(change: Change, named: (key: string) => string | undefined): void {
  const { type, at, node, signaler } = change;
  const [words, tone] = WORDS[type] ?? [undefined, "plain"];
  const who = node?.id ?? (signaler && (named(signaler.id) ?? address(signaler)));
  // A later signaler may tell of what this page does not know.
  if (words === undefined || who === undefined) return;
  if (type === "pending") {
    wait(who, at);
    return;
  }
  const lapsed = type === "denied" && node?.lapsed === true ? ", because it was silent for too long" : "";
  tell(`${who} ${words}${lapsed}`, tone, at);
}

/** The newest line, if it is about those who wait for a decision: strangers could fill the list with their names. */
let queue: { readonly line: HTMLElement; readonly first: string; readonly others: Set<string> } | undefined;

function wait(who: string, at: number | undefined): void {
  if (queue === undefined) {
    const line = tell(`${who} waits for a decision`, "warn", at);
    queue = { line, first: who, others: new Set() };
  } else if (who !== queue.first) {
    const { line, first, others } = queue;
    others.add(who);
    say(line, `${first} and ${others.size === 1 ? who : count(others.size, "other")} wait for a decision`);
  }
}

const address = ({ id, url }: NonNullable<Change["signaler"]>): string =>
  url === null ? key(id) : hostOf(url);

const WORDS: Readonly<Record<string, readonly [string, Tone]>> = {
  pending: ["waits for a decision", "warn"],
  active: ["is active", "good"],
  offline: ["is offline", "bad"],
  denied: ["was denied", "bad"],
  revoked: ["was revoked", "bad"],
  "sibling-up": ["is linked", "good"],
  "sibling-down": ["lost its link", "bad"],
  "member-up": ["joined the federation", "good"],
  "member-down": ["is gone", "bad"],
};
