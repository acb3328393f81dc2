/** The registry as a list: searched, filtered, and, for whoever holds a key, decided about. */

import { $, h, say, show } from "../demo/dom.js";
import type { Node, Status } from "./api.js";
import { servicesOf } from "./federation.js";
import type { Verb } from "./statement.js";
import { count, key, number, span } from "./words.js";

/** More rows than this help nobody: one searches. */
const MOST = 200;

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

export class RegistryList {
  private nodes: ReadonlyMap<string, Node> = new Map();
  private wanted: Status | undefined;
  private decides = false;
  /** The signaler's clock, less ours, milliseconds. */
  private ahead = 0;
  private readonly rows = new Map<string, { readonly seen: string; readonly row: HTMLElement }>();
  private readonly search = $<HTMLInputElement>("search");

  constructor(private readonly decide: (verb: Verb, node: Node) => void) {
    this.search.addEventListener("input", () => this.draw());
    $("filters").replaceChildren(
      ...[undefined, ...STATUSES].map((status) => {
        const button = h("button", {
          type: "button",
          class: "chip",
          "data-testid": `filter-${status ?? "all"}`,
          "data-status": status ?? "all",
        });
        button.addEventListener("click", () => {
          this.wanted = status;
          this.draw();
        });
        return button;
      }),
    );
  }

  set(nodes: ReadonlyMap<string, Node>, ahead: number): void {
    this.nodes = nodes;
    this.ahead = ahead;
    this.draw();
  }

  /** Whether there is a key to decide with. */
  setDecides(decides: boolean): void {
    this.decides = decides;
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
    // Those that wait for somebody come first.
    found.sort((a, b) => Number(b.status === "pending") - Number(a.status === "pending"));
    this.place(found.slice(0, MOST));
    const what = words.length === 0 && this.wanted === undefined ? "" : " found";
    const rest = found.length > MOST ? `, the first ${MOST} are shown: search for others` : "";
    say($("found"), `${count(found.length, "registrant")}${what}${rest}`);
    show($("nobody"), all.length === 0);
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
      const seen = JSON.stringify([{ ...node, last_heartbeat: undefined }, this.decides]);
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
    const choices = this.decides ? CHOICES[node.status] : [];
    return h(
      "li",
      { class: `node ${node.status}`, "data-testid": "node", "data-id": node.id, "data-status": node.status },
      h("span", { class: "state" }, node.lapsed ? `${node.status}, silent` : node.status),
      h(
        "div",
        { class: "who" },
        h("h3", {}, node.id),
        h(
          "p",
          { class: "quiet facts" },
          h("span", {}, node.tailscale_hostname),
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
    const button = h(
      "button",
      {
        type: "button",
        class: verb === "approve" ? "primary" : "",
        "data-testid": verb,
        "aria-label": `${verb} ${id}`,
      },
      LABELS[verb],
    );
    button.addEventListener("click", () => {
      const node = this.nodes.get(id);
      if (node !== undefined) this.decide(verb, node);
    });
    return button;
  }

  private heard({ last_heartbeat, registered_at }: Node): string {
    const ago = (at: number): string => `${span(Date.now() + this.ahead - at)} ago`;
    return last_heartbeat === null
      ? `never heard, asked ${ago(registered_at)}`
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
