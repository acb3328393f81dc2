/** What happens, as it happens, the newest first. */

import { $, h, show } from "../demo/dom.js";
import type { Change } from "./api.js";
import { clock, hostOf, key } from "./words.js";

/** Lines that are kept. */
const MOST = 100;

export type Tone = "good" | "bad" | "warn" | "plain";

/** Adds a line. */
export function tell(text: string, tone: Tone = "plain", at = Date.now()): void {
  const list = $("news");
  list.prepend(
    h(
      "li",
      { class: tone, "data-testid": "news" },
      h("time", { datetime: new Date(at).toISOString() }, clock(at)),
      h("span", {}, text),
    ),
  );
  while (list.children.length > MOST) list.lastElementChild?.remove();
  show($("no-news"), false);
}

/** Adds a change that the signaler told of; `named` knows signalers by their keys. */
export function report(change: Change, named: (key: string) => string | undefined): void {
  const { type, at, node, signaler } = change;
  const [words, tone] = WORDS[type] ?? [undefined, "plain"];
  const who = node?.id ?? (signaler && (named(signaler.id) ?? address(signaler)));
  // A later signaler may tell of what this page does not know.
  if (words === undefined || who === undefined) return;
  const lapsed = type === "denied" && node?.lapsed === true ? ", because it was silent for too long" : "";
  tell(`${who} ${words}${lapsed}`, tone, at);
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
  "member-up": ["is a member", "good"],
  "member-down": ["is gone", "bad"],
};
