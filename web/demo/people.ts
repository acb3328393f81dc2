/** The list of who is here, with a button to write to each. */

import type { PeerInfo, Weft } from "weft-mesh";
import { $, h, perFrame, say, show } from "./dom.js";
import type { Roster } from "./roster.js";
import type { Talk } from "./talk.js";
import { called, initials, key, short } from "./words.js";

export class People {
  private readonly list = $("people");
  readonly drawSoon = perFrame(() => this.draw());
  private drawn = "";

  constructor(
    private readonly weft: Weft,
    private readonly roster: Roster,
    private readonly talk: () => Talk,
  ) {
    roster.watch(this.drawSoon);
    this.drawSoon();
  }

  private draw(): void {
    const talk = this.talk();
    const unread = talk.unreadInAll();
    show($("unread-badge"), unread > 0);
    say($("unread-badge"), unread > 0 ? String(unread) : "");

    const present = this.roster.present();
    const people = [...present].sort(byNearness);
    show($("people-heading"), people.length > 0);
    // Names, keys and figures decide; drawing the same again would take the focus from a button.
    const looks = JSON.stringify([
      people,
      people.map((peer) => talk.unread(peer.identity ?? "")),
      this.gone(present),
    ]);
    if (looks === this.drawn) return;
    this.drawn = looks;
    const focused = (document.activeElement as HTMLElement | null)?.getAttribute("data-identity");
    this.list.replaceChildren(
      ...people.map((peer) => this.person(peer)),
      ...this.gone(present).map((who) => this.absent(who)),
    );
    if (typeof focused === "string")
      this.list.querySelector<HTMLElement>(`[data-identity="${CSS.escape(focused)}"]`)?.focus();
    show($("people-heading"), this.list.children.length > 0);
  }

  /** Those with whom something was said and who are not here any more. */
  private gone(present: readonly PeerInfo[]): string[] {
    const here = new Set(present.map((peer) => peer.identity));
    return [...this.talk().partners()].filter((identity) => !here.has(identity));
  }

  private person(peer: PeerInfo): HTMLElement {
    const name = called(peer.name, peer.peer);
    const near = peer.linked ? "linked" : "through others";
    const self = peer.identity === this.weft.identity ? "your other tab · " : "";
    const facts = `${self}${near}${peer.forwarded > 0 ? ` · ${short(peer.forwarded)} forwarded` : ""}`;
    return h(
      "li",
      {
        class: "person",
        "data-testid": "person",
        "data-peer": peer.peer,
        "data-linked": String(peer.linked),
      },
      h("span", { class: peer.linked ? "avatar near" : "avatar", "aria-hidden": true }, initials(name)),
      h(
        "span",
        { class: "words" },
        h("span", { class: "title" }, name),
        h("span", { class: "facts" }, facts),
        asks(peer),
      ),
      this.button(peer.identity, name),
    );
  }

  private absent(identity: string): HTMLElement {
    const name = this.roster.nameOfIdentity(identity);
    return h(
      "li",
      { class: "person absent", "data-testid": "person-absent" },
      h("span", { class: "avatar", "aria-hidden": true }, initials(name)),
      h(
        "span",
        { class: "words" },
        h("span", { class: "title" }, name),
        h("span", { class: "facts" }, `has left · ${key(identity)}`),
      ),
      this.button(identity, name),
    );
  }

  private button(identity: string | undefined, name: string): HTMLElement {
    const unread = identity === undefined ? 0 : this.talk().unread(identity);
    const button = h(
      "button",
      { type: "button", "data-testid": "person-message", "data-identity": identity },
      "Message",
      h("span", { class: "visually-hidden" }, ` ${name}`),
      unread > 0
        ? h("span", { class: "badge" }, String(unread), h("span", { class: "visually-hidden" }, " unread"))
        : undefined,
    );
    button.disabled = identity === undefined;
    if (identity === undefined) button.title = "Their identity is not known yet";
    else button.addEventListener("click", () => this.talk().open(identity));
    return button;
  }
}

/** What it says it is looking for. Others wrote it, so it may be anything. */
function asks({ state }: PeerInfo): HTMLElement | undefined {
  const query: unknown = state?.["asks"];
  if (typeof query !== "string" || query === "") return undefined;
  const line = query.replaceAll(/\s+/g, " ");
  return h(
    "span",
    { class: "facts asks", "data-testid": "person-asks", title: line },
    "asks for ",
    h("code", {}, line),
  );
}

function byNearness(one: PeerInfo, other: PeerInfo): number {
  if (one.linked !== other.linked) return one.linked ? -1 : 1;
  return one.name.localeCompare(other.name) || (one.peer < other.peer ? -1 : 1);
}
