/** The registry as a list: searched, filtered, and, for whoever holds a key, decided about. */

import { $, h, say, show } from "../demo/dom.js";
import type { Node, Status } from "./api.js";
import { servicesOf, waits } from "./federation.js";
import type { Standing } from "./keeping.js";
import type { Verb } from "./statement.js";
import { count, key, more, number, span } from "./words.js";

/** Rows at first, and further ones each time one asks. */
const [FIRST, MORE] = [25, 100];
/** If more wait for a decision, they are one line in the list of all: nobody has vouched for them. */
const WAITING = 3;

const STATUSES: readonly Status[] = ["pending", "active", "offline", "denied", "revoked"];

/** What can be decided about somebody who stands so. */
const CHOICES: Record<Status, readonly Verb[]> = {
  pending: ["approve", "deny"],
  active: ["revoke"],
  offline: ["revoke"],
  denied: ["reset"],
  revoked: ["reset"],
};

const LABELS: Record<Verb, string> = {
  approve: "Approve…",
  deny: "Deny…",
  reset: "Reset…",
  revoke: "Revoke…",
};

/** Why a key decides nothing. */
const WHY: Partial<Record<Standing, string>> = {
  stranger:
    "The key in this browser is not a sovereign’s, so it decides nothing here. “Your key” says how to change that.",
  first: "There is no sovereign yet, so nobody can decide. “Your key” says how to change that.",
  unknown: "Whether the key in this browser may decide is not known yet.",
};

export class RegistryList {
  private nodes: ReadonlyMap<string, Node> = new Map();
  private wanted: Status | undefined;
  private standing: Standing = "nobody";
  /** Whether it was read at all. */
  private known = false;
  private shown = FIRST;
  /** The signaler's clock, less ours, milliseconds. */
  private ahead = 0;
  private readonly rows = new Map<string, { readonly seen: string; readonly row: HTMLElement }>();
  private readonly search = $<HTMLInputElement>("search");

  constructor(private readonly decide: (verb: Verb, node: Node) => void) {
    this.search.addEventListener("input", () => {
      this.shown = FIRST;
      this.draw();
    });
    $("more").addEventListener("click", () => {
      this.shown += MORE;
      this.draw();
    });
    $("folded-show").addEventListener("click", () => this.seek("pending"));
    $("filters").replaceChildren(
      ...[undefined, ...STATUSES].map((status) => {
        const button = h("button", {
          type: "button",
          class: "chip",
          "data-testid": `filter-${status ?? "all"}`,
          "data-status": status ?? "all",
        });
        button.addEventListener("click", () => this.want(status));
        return button;
      }),
    );
  }

  set(nodes: ReadonlyMap<string, Node>, ahead: number): void {
    this.nodes = nodes;
    this.ahead = ahead;
    this.known = true;
    this.draw();
  }

  /** Whether there is a key, and whether it decides anything. */
  setStanding(standing: Standing): void {
    this.standing = standing;
    const why = WHY[standing];
    say($("undecided"), why ?? "");
    this.draw();
  }

  /** Shows those of a status, and goes there. */
  seek(status: Status): void {
    this.search.value = "";
    this.want(status);
    $("registry-heading").focus();
    $("registry-heading").scrollIntoView({ block: "start" });
  }

  private want(status: Status | undefined): void {
    this.wanted = status;
    this.shown = FIRST;
    this.draw();
  }

  /** Times go on though nothing else changes. */
  tick(): void {
    for (const [id, { row }] of this.rows) {
      const node = this.nodes.get(id);
      const heard = row.querySelector(".heard");
      if (node !== undefined && heard !== null) say(heard, this.heard(node));
    }
  }

  private draw(): void {
    const all = [...this.nodes.values()];
    for (const chip of $("filters").querySelectorAll<HTMLElement>(".chip")) {
      const status = chip.dataset["status"];
      const amount = status === "all" ? all.length : all.filter((node) => node.status === status).length;
      say(chip, `${status === "all" ? "All" : status} ${number(amount)}`);
      chip.setAttribute("aria-pressed", String(status === (this.wanted ?? "all")));
    }
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter(
      (node) => (this.wanted === undefined || node.status === this.wanted) && matches(node, words),
    );
    const everybody = words.length === 0 && this.wanted === undefined;
    const waiting = found.filter(({ status }) => status === "pending");
    const others = found.filter(({ status }) => status !== "pending");
    const folds = everybody && waiting.length > WAITING;
    // Those that wait for somebody come first.
    const rows = folds ? others : [...waiting, ...others];
    this.place(rows.slice(0, this.shown));
    say($("folded-words"), `${waits(waiting.length)}.`);
    show($("folded"), folds);
    const left = Math.max(0, rows.length - this.shown);
    say($("more"), more(left, MORE));
    show($("more"), left > 0);
    say($("found"), !this.known ? "" : `${count(found.length, "registrant")}${everybody ? "" : " found"}`);
    show($("undecided"), all.length > 0 && WHY[this.standing] !== undefined);
    show($("nobody"), this.known && all.length === 0);
    show($("finder"), !this.known || all.length > 0);
  }

  /** Rows that stay as they are keep their place in the document, and the focus that may be in them. */
  private place(nodes: readonly Node[]): void {
    const list = $("nodes");
    const wanted = new Set(nodes.map(({ id }) => id));
    for (const [id, { row }] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    let before: Element | null = list.firstElementChild;
    for (const node of nodes) {
      const seen = JSON.stringify([{ ...node, last_heartbeat: undefined }, this.standing]);
      let row = this.rows.get(node.id)?.row;
      if (row === undefined || this.rows.get(node.id)?.seen !== seen) {
        const fresh = this.row(node);
        if (row !== undefined) {
          if (row === before) before = fresh;
          row.replaceWith(fresh);
        }
        row = fresh;
        this.rows.set(node.id, { seen, row });
      }
      if (row === before) before = row.nextElementSibling;
      else list.insertBefore(row, before);
    }
    this.tick();
  }

  private row(node: Node): HTMLElement {
    const services = servicesOf(node).map(({ name, healthy }) => {
      const words = healthy === undefined ? "not probed" : healthy ? "healthy" : "not reachable";
      const kind = healthy === undefined ? "unknown" : healthy ? "healthy" : "ill";
      return h("li", { class: `service ${kind}` }, name, h("span", { class: "quiet" }, ` ${words}`));
    });
    const choices = this.standing === "nobody" ? [] : CHOICES[node.status];
    return h(
      "li",
      { class: `node ${node.status}`, "data-testid": "node", "data-id": node.id, "data-status": node.status },
      h("span", { class: "state" }, node.lapsed ? `${node.status}, silent` : node.status),
      h(
        "div",
        { class: "who" },
        h("h3", { title: node.id }, node.id),
        h(
          "p",
          { class: "quiet facts" },
          h("span", { class: "place", title: node.tailscale_hostname }, node.tailscale_hostname),
          node.tailscale_ip === null ? undefined : h("span", {}, node.tailscale_ip),
          h("span", { class: "code", title: node.public_key }, key(node.public_key)),
          h("span", { class: "heard" }),
        ),
        services.length === 0 ? undefined : h("ul", { class: "services plain-list" }, ...services),
      ),
      choices.length === 0
        ? undefined
        : h("div", { class: "choices" }, ...choices.map((verb) => this.button(verb, node.id))),
    );
  }

  private button(verb: Verb, id: string): HTMLElement {
    const can = this.standing === "sovereign";
    const button = h(
      "button",
      {
        type: "button",
        class: verb === "approve" ? "primary" : "",
        "data-testid": verb,
        "aria-label": `${verb} ${id}`,
        disabled: !can,
        "aria-describedby": can ? undefined : "undecided",
        title: can ? undefined : WHY[this.standing],
      },
      LABELS[verb],
    );
    button.addEventListener("click", () => {
      const node = this.nodes.get(id);
      if (node !== undefined) this.decide(verb, node);
    });
    return button;
  }

  private heard({ last_heartbeat, registered_at, decided_at }: Node): string {
    const ago = (at: number): string => `${span(Date.now() + this.ahead - at)} ago`;
    return last_heartbeat === null
      ? `${decided_at === null ? "asked" : "no heartbeat yet, asked"} ${ago(registered_at)}`
      : `heard ${ago(last_heartbeat)}`;
  }
}

/** Every word is somewhere in what is shown. */
function matches(node: Node, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const services = node.services.map(({ type, port }) => `${type}:${port}`);
  const text = [node.id, node.public_key, node.tailscale_hostname, node.tailscale_ip ?? "", ...services]
    .join(" ")
    .toLowerCase();
  return words.every((word) => text.includes(word));
}
