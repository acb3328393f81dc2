/** Conversations: end to end encrypted, one per identity, kept as long as the page is open. */

import { type Message, type Weft, WeftError } from "weft-mesh";
import { $, h, say } from "./dom.js";
import { tell, understand } from "./notices.js";
import type { Roster } from "./roster.js";
import { clock, key } from "./words.js";

/** Messages kept per conversation. */
const KEPT = 200;

interface Line {
  readonly own: boolean;
  readonly text: string;
  readonly time: number;
  /** For one's own. */
  state: "sending" | "delivered" | "failed" | undefined;
  /** Why not, if failed. */
  problem: string | undefined;
}

export class Talk {
  private readonly dialog = $<HTMLDialogElement>("talk");
  private readonly input = $<HTMLTextAreaElement>("talk-input");
  private readonly conversations = new Map<string, Line[]>();
  private readonly unreadBy = new Map<string, number>();
  private with: string | undefined;

  constructor(
    private readonly weft: Weft,
    private readonly roster: Roster,
    private readonly changed: () => void,
  ) {
    weft.on("message", (message) => this.take(message));
    roster.watch(() => this.title());
    this.dialog.addEventListener("close", () => {
      this.with = undefined;
      this.changed();
    });
    $("talk-close").addEventListener("click", () => this.dialog.close());
    $("talk-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
  }

  /** Messages of this identity that nobody has seen. */
  unread(identity: string): number {
    return this.unreadBy.get(identity) ?? 0;
  }

  /** Messages of anybody that nobody has seen. */
  unreadInAll(): number {
    return [...this.unreadBy.values()].reduce((sum, more) => sum + more, 0);
  }

  /** Identities with whom something was said. */
  partners(): IterableIterator<string> {
    return this.conversations.keys();
  }

  open(identity: string): void {
    this.with = identity;
    this.unreadBy.delete(identity);
    this.title();
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
    this.input.focus();
    this.changed();
  }

  private take(message: Message): void {
    const { text: said } = message.data;
    const text = typeof said === "string" ? said : JSON.stringify(message.data);
    this.add(message.from, { own: false, text, time: message.time, state: undefined, problem: undefined });
    if (this.with === message.from) {
      this.draw();
      return;
    }
    this.unreadBy.set(message.from, this.unread(message.from) + 1);
    const excerpt = text.length > 80 ? `${text.slice(0, 79)}…` : text;
    tell(`${this.roster.nameOfPeer(message.peer)}: ${excerpt}`, {
      label: "Open",
      run: () => this.open(message.from),
    });
    this.changed();
  }

  private submit(): void {
    const text = this.input.value.trim();
    if (text === "" || this.with === undefined) return;
    this.input.value = "";
    const message: Line = { own: true, text, time: Date.now(), state: "sending", problem: undefined };
    this.add(this.with, message);
    void this.deliver(this.with, message);
  }

  /** `send` resolves when one of the recipient's peers has confirmed the message. */
  private async deliver(identity: string, message: Line): Promise<void> {
    message.state = "sending";
    this.draw();
    try {
      await this.weft.send(identity, { text: message.text });
      message.state = "delivered";
    } catch (error) {
      message.state = "failed";
      const { code, message: words } = understand(error);
      message.problem = error instanceof WeftError ? `${words} [${code}]` : words;
    }
    this.draw();
  }

  private add(identity: string, message: Line): void {
    const said = this.conversations.get(identity) ?? [];
    said.push(message);
    if (said.length > KEPT) said.shift();
    this.conversations.set(identity, said);
  }

  private title(): void {
    if (this.with === undefined) return;
    const name = this.roster.nameOfIdentity(this.with);
    say($("talk-name"), this.with === this.weft.identity ? "Your other tabs" : name);
    say($("talk-id"), key(this.with));
  }

  private draw(): void {
    const identity = this.with;
    if (identity === undefined) return;
    const said = this.conversations.get(identity) ?? [];
    const lines = said.map((message) => this.line(identity, message));
    if (lines.length === 0) lines.push(h("p", { class: "quiet talk-empty" }, NOTHING));
    const list = $("talk-list");
    // Only what is new or changed, because a screen reader reads out what is put in.
    for (const [index, line] of lines.entries()) {
      const there = list.children[index];
      if (there === undefined) list.append(line);
      else if (!there.isEqualNode(line)) there.replaceWith(line);
    }
    while (list.children.length > lines.length) list.lastElementChild?.remove();
    list.scrollTop = list.scrollHeight;
  }

  private line(identity: string, message: Line): HTMLElement {
    const words = message.own
      ? `${STATES[message.state ?? "sending"]} ${clock(message.time)}`
      : clock(message.time);
    const line = h(
      "div",
      {
        class: message.own ? "said own" : "said",
        "data-testid": "talk-message",
        "data-state": message.state ?? "received",
      },
      h("p", { class: "bubble" }, message.text),
      h("p", { class: "quiet when" }, words),
    );
    if (message.state !== "failed") return line;
    const again = h("button", { type: "button" }, "Try again");
    again.addEventListener("click", () => void this.deliver(identity, message));
    line.append(h("p", { class: "status bad" }, message.problem ?? "", " ", again));
    return line;
  }
}

const NOTHING = "Nothing said yet. Nobody on the way can read what you write here.";
const STATES = { sending: "Sending…", delivered: "Delivered", failed: "Not delivered" } as const;
