/** The list of conversations, requests of strangers, and what a search finds. */

import { $, h, perFrame, say, show } from "../dom.js";
import type { Book } from "./book.js";
import { icon, WORDS } from "./bubbles.js";
import { shown } from "./documents.js";
import { avatar } from "./faces.js";
import type { Line, Person } from "./model.js";
import type { Session } from "./session.js";
import { briefly } from "./when.js";

/** Messages that a search shows. */
const FOUND = 50;
/** Milliseconds after the last key before all conversations are searched. */
const PAUSE = 200;

export class List {
  readonly drawSoon = perFrame(() => this.draw());
  readonly #list = $("list");
  readonly #search = $<HTMLInputElement>("search");
  readonly #drawn = new Map<
    string,
    { readonly looks: string; readonly item: HTMLElement; readonly button: HTMLElement }
  >();
  #pause: ReturnType<typeof setTimeout> | undefined;
  #hits: { readonly person: Person; readonly line: Line }[] = [];

  constructor(
    readonly session: Session,
    readonly current: () => Person | undefined,
    readonly open: (person: Person, line?: Line) => void,
  ) {
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#pause);
      this.#pause = setTimeout(() => void this.#find(), PAUSE);
      this.drawSoon();
    });
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.#search.value = "";
        void this.#find();
      } else if (event.key === "ArrowDown") {
        event.preventDefault();
        this.#buttons()[0]?.focus();
      }
    });
    document
      .querySelector(".side-list")
      ?.addEventListener("keydown", (event) => this.#arrows(event as KeyboardEvent));
    this.draw();
  }

  draw(): void {
    const { session } = this;
    const words = this.#search.value.trim().toLocaleLowerCase();
    const all = session.book.people();
    const known = all.filter(({ standing }) => standing !== "stranger");
    const fitting = known.filter((person) => session.nameOf(person).toLocaleLowerCase().includes(words));
    const strangers = all.filter(({ standing }) => standing === "stranger");
    this.#put(
      this.#list,
      fitting.map((person) => this.#row(person, "conversation")),
    );
    this.#put(
      $("request-list"),
      strangers.map((person) => this.#row(person, "request")),
    );
    show($("requests"), strangers.length > 0 && words === "");
    const empty =
      known.length === 0
        ? "Nobody yet. Add somebody with +, or give them your link."
        : "Nobody is called so.";
    say($("list-empty"), empty);
    show($("list-empty"), fitting.length === 0 && (known.length > 0 || strangers.length === 0));
    show($("found"), words !== "" && this.#hits.length > 0);
  }

  async #find(): Promise<void> {
    const words = this.#search.value.trim();
    const hits: { person: Person; line: Line }[] = [];
    for (const person of words === "" ? [] : this.session.book.people()) {
      await this.session.open(person);
      hits.push(...this.session.book.search(person, words).map((line) => ({ person, line })));
    }
    if (words !== this.#search.value.trim()) return;
    this.#hits = hits.sort((a, b) => b.line.came - a.line.came).slice(0, FOUND);
    $("found-list").replaceChildren(...this.#hits.map(({ person, line }) => this.#hit(person, line)));
    this.draw();
  }

  #hit(person: Person, line: Line): HTMLElement {
    const { session } = this;
    const name = session.nameOf(person);
    const button = h(
      "button",
      { type: "button", class: "row-button", "data-testid": "hit" },
      h(
        "span",
        { class: "row-words" },
        h(
          "span",
          { class: "row-name" },
          line.own ? `You to ${name}` : person.group ? `${session.authorOf(person, line)} to ${name}` : name,
        ),
        h("span", { class: "row-text" }, shown(line.text) || (line.attachments[0]?.name ?? "")),
      ),
      h("span", { class: "row-side" }, h("time", {}, briefly(line.time, Date.now()))),
    );
    button.addEventListener("click", () => this.open(person, line));
    return h("li", {}, button);
  }

  #row(person: Person, kind: "conversation" | "request"): HTMLElement {
    const { session } = this;
    const name = session.nameOf(person);
    const here = person.standing === "contact" && session.rooms.presence(person) === true;
    const isTyping = session.book.isTyping(person, Date.now());
    const text = isTyping ? "is typing…" : lastOf(person, session.book);
    const when = briefly(person.active, Date.now());
    const isCurrent = this.current() === person;
    const { unread, muted = false, last } = person;
    const own = last?.own === true && !isTyping ? last.state : undefined;
    const looks = JSON.stringify([
      name,
      person.face?.issued,
      here,
      text,
      when,
      isCurrent,
      unread,
      muted,
      own,
      kind,
    ]);
    const there = this.#drawn.get(person.identity);
    if (there?.looks === looks) return there.item;
    const mark = own && icon(`m-${own}`);
    mark?.setAttribute("class", "mark-state");
    const { item, button } = there ?? this.#newRow(person);
    this.#drawn.set(person.identity, { looks, item, button });
    item.setAttribute("data-testid", kind);
    item.setAttribute("data-unread", String(unread));
    if (isCurrent) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.replaceChildren(
      avatar(name, person.identity, person.face, here),
      h(
        "span",
        { class: "row-words" },
        h(
          "span",
          { class: "row-name" },
          person.group ? icon("i-group") : undefined,
          name,
          h("span", { class: "visually-hidden" }, person.group ? ", a group" : here ? ", here now" : ""),
        ),
        h(
          "span",
          { class: isTyping ? "row-text busy" : "row-text", "data-testid": "row-text" },
          own ? h("span", { class: "visually-hidden" }, `${WORDS[own]}: `) : undefined,
          text,
        ),
      ),
      h("span", { class: "row-side" }, h("time", {}, when), sign(unread, muted, kind, mark)),
    );
    return item;
  }

  /** A row stays the same element for as long as there is the person: whoever is about to press it presses it. */
  #newRow(person: Person): { readonly item: HTMLElement; readonly button: HTMLElement } {
    const button = h("button", { type: "button", class: "row-button" });
    button.addEventListener("click", () => {
      const now = this.session.book.person(person.identity);
      if (now) this.open(now);
    });
    return { item: h("li", { "data-identity": person.identity }, button), button };
  }

  #put(list: HTMLElement, items: readonly HTMLElement[]): void {
    const wanted = new Set(items);
    for (const child of [...list.children]) if (!wanted.has(child as HTMLElement)) child.remove();
    for (const [at, item] of items.entries())
      if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
  }

  #buttons(): HTMLElement[] {
    return [...document.querySelectorAll<HTMLElement>(".side-list .row-button")].filter(
      (button) => button.getClientRects().length > 0,
    );
  }

  #arrows(event: KeyboardEvent): void {
    const buttons = this.#buttons();
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0) this.#search.focus();
    else buttons[to]?.focus();
  }
}

/** What stands at the end of a row: how much is unread, or how far one's own last text is. */
function sign(
  unread: number,
  muted: boolean,
  kind: string,
  mark: SVGElement | undefined | "" | null,
): Node | string {
  if (unread > 0 && kind === "conversation")
    return h(
      "span",
      { class: muted ? "badge quiet-badge" : "badge", "data-testid": "unread" },
      unread > 99 ? "99+" : String(unread),
      h("span", { class: "visually-hidden" }, muted ? " unread, muted" : " unread"),
    );
  if (muted) return h("span", {}, icon("i-muted"), h("span", { class: "visually-hidden" }, "muted"));
  return mark || "";
}

function lastOf(person: Person, book: Book): string {
  if (person.standing === "blocked") return "Blocked";
  const { last, group } = person;
  if (group && group.state !== "member")
    return group.state === "joining" ? "Waiting for an admin" : "Not a member";
  if (last?.invited) return last.own ? `You invited them to ${last.text}` : `Invites you to ${last.text}`;
  if (last?.text && last.author !== undefined)
    return `${book.memberName(person, last.author)}: ${last.text.replaceAll("\n", " ")}`;
  if (last?.text) return last.text.replaceAll("\n", " ");
  if (last?.attached) return last.attached === 1 ? "An attachment" : `${last.attached} attachments`;
  if (last) return "Taken back";
  if (person.standing === "asked") return "Asked, no answer yet";
  return person.request ? shown(person.request.note ?? "") || "Would like to write to you" : "Say hello";
}
