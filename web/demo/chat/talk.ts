/** The open conversation: its lines, what is typed, and what is done with lines. */

import type { Role } from "weft-mesh";
import { $, calm, copy, h, perFrame, say, show } from "../dom.js";
import { complain, tell } from "../notices.js";
import { type Actions, bubble, type Picture } from "./bubbles.js";
import { Compose } from "./compose.js";
import { type Attachment, shown } from "./documents.js";
import { avatar } from "./faces.js";
import { closeMenu, openMenu } from "./menu.js";
import type { Circle, Line, Person } from "./model.js";
import { HEAD, MOST_PIXELS, pixelsOf } from "./pixels.js";
import type { Session } from "./session.js";
import { dayLine, dayOf } from "./when.js";

/** Lines that are drawn at first, and more at a time. */
const SOME = 80;
/** Milliseconds between two lines of one author that look like one. */
const TOGETHER = 4 * 60_000;
/** Pixels from the end that count as being at the end. */
const NEAR = 90;
const REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🎉"];

/** What the page does around a conversation. */
export interface Around {
  sure(what: string, why: string, yes: string): Promise<boolean>;
  about(person: Person): void;
  opened(person: Person | undefined): void;
  view(attachment: Attachment, url: string): void;
}

export class Talk {
  person: Person | undefined;
  readonly compose: Compose;
  readonly drawSoon = perFrame(() => this.draw());
  readonly #drawn = new Map<string, { readonly looks: string; readonly item: HTMLElement }>();
  readonly #pictures = new Map<string, Picture | "none">();
  readonly #scroll = $("scroll");
  readonly #log = $("log");
  #from = 0;
  #newFrom: string | undefined;
  #found: { readonly words: string; readonly lines: Line[]; at: number } | undefined;

  constructor(
    readonly session: Session,
    readonly around: Around,
  ) {
    this.compose = new Compose(session, () => this.toEnd());
    $("back").addEventListener("click", () => this.close());
    $("with").addEventListener("click", () => this.person && around.about(this.person));
    $("earlier").addEventListener("click", () => this.#earlier());
    $("down").addEventListener("click", () => this.toEnd());
    this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    $("find").addEventListener("click", () => this.#find());
    $("find-close").addEventListener("click", () => this.#findEnds());
    $("find-bar").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#findNext();
    });
    $("find-input").addEventListener("keydown", ({ key }) => key === "Escape" && this.#findEnds());
    this.#scroll.addEventListener("keydown", (event) => this.#arrows(event));
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("focus", () => this.#seen());
    // A picture that has come, or a keyboard on the screen, moves the end.
    new ResizeObserver(() => this.#stayAtEnd()).observe(this.#scroll);
  }

  #atEnd = true;

  /** Whether somebody looks at this conversation. */
  isVisible(person: Person): boolean {
    const isShown = this.person === person && $("conversation").getClientRects().length > 0;
    return isShown && document.visibilityState === "visible";
  }

  /** Opens a conversation, at a line if one is given. */
  async open(person: Person, line?: Line): Promise<void> {
    await this.session.open(person);
    const isOther = this.person !== person;
    this.person = person;
    if (isOther) {
      this.#findEnds();
      this.#drawn.clear();
      this.#log.replaceChildren();
      const lines = this.session.book.lines(person);
      this.#from = Math.max(0, lines.length - SOME);
      this.#newFrom = lines.find(({ own, seen }) => !own && seen === false)?.id;
      const first = lines.findIndex(({ id }) => id === this.#newFrom);
      if (first >= 0) this.#from = Math.min(this.#from, Math.max(0, first - 8));
      this.#atEnd = true;
    }
    show($("welcome"), false);
    show($("conversation"), true);
    $("app").setAttribute("data-view", "talk");
    this.compose.open(person);
    this.draw();
    if (line) this.jump(line);
    else if (isOther) this.toEnd(true);
    this.#seen();
    this.around.opened(person);
    if (matchMedia("(hover: hover)").matches) this.compose.focus();
  }

  /** Goes back to the list. */
  close(): void {
    $("app").setAttribute("data-view", "list");
    if (this.person) this.compose.leave();
    this.person = undefined;
    show($("conversation"), false);
    show($("welcome"), true);
    this.around.opened(undefined);
  }

  draw(): void {
    const { person, session } = this;
    if (person === undefined || !session.book.isOpen(person)) return;
    if (session.book.person(person.identity) !== person) {
      this.close();
      return;
    }
    this.#head(person);
    this.#banner(person);
    const lines = session.book.lines(person);
    const shownLines = lines.slice(this.#from);
    show($("earlier"), this.#from > 0);
    const items: HTMLElement[] = [];
    const lastOwn = lines.findLast(({ own, deleted }) => own && !deleted);
    let before: Line | undefined = lines[this.#from - 1];
    for (const line of shownLines) {
      if (before === undefined || dayOf(before.time) !== dayOf(line.time)) {
        items.push(
          this.#item(`day ${line.key}`, dayLine(line.time, Date.now()), (text) =>
            h("li", { class: "day" }, text),
          ),
        );
        before = undefined;
      }
      if (line.id === this.#newFrom && !line.own) {
        items.push(this.#item("new", "New", (text) => h("li", { class: "new" }, text)));
        before = undefined;
      }
      items.push(this.#line(person, line, before, line === lastOwn));
      before = line;
    }
    if (lines.length === 0)
      items.push(this.#item("none", NOTHING, (text) => h("li", { class: "nothing" }, text)));
    this.#put(items);
    this.#stayAtEnd();
  }

  /** A file changed: lines that show it are drawn anew. */
  file(hash: string): void {
    if (this.#pictures.get(hash) === "none") this.#pictures.delete(hash);
    this.drawSoon();
  }

  /** Says to screen readers what came, when it is on the screen. */
  tell(line: Line): void {
    const { person } = this;
    const name = person && this.session.authorOf(person, line);
    if (person) say($("news"), `${name}: ${shown(line.text) || "an attachment"}`);
    if (!this.#atEnd) show($("down"), true);
  }

  toEnd(atOnce = false): void {
    this.#atEnd = true;
    this.#scroll.scrollTo({
      top: this.#scroll.scrollHeight,
      behavior: atOnce || calm() ? "instant" : "smooth",
    });
    show($("down"), false);
  }

  /** Brings a line onto the screen. */
  jump(line: Line): void {
    const { person } = this;
    if (person === undefined) return;
    const at = this.session.book.lines(person).indexOf(line);
    if (at < 0) return;
    if (at < this.#from) {
      this.#from = Math.max(0, at - 20);
      this.draw();
    }
    this.#atEnd = false;
    const item = this.#drawn.get(keyOf(line))?.item;
    item?.scrollIntoView({ block: "center" });
    item?.focus({ preventScroll: true });
    item?.classList.add("found");
    setTimeout(() => item?.classList.remove("found"), 1600);
  }

  // ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────────

  #head(person: Person): void {
    const { session } = this;
    const name = session.nameOf(person);
    say($("with-name"), name);
    const here = session.rooms.presence(person);
    const looks = JSON.stringify([name, person.face?.issued, here]);
    const face = $("with-face");
    if (face.getAttribute("data-looks") !== looks) {
      face.setAttribute("data-looks", looks);
      face.replaceChildren(avatar(name, person.identity, person.face, here));
    }
    const isTyping = session.book.isTyping(person, Date.now());
    const standing = {
      contact: here ? "here now" : here === undefined ? "" : "away",
      asked: "asked, no answer yet",
      stranger: "not a contact",
      blocked: "blocked",
      group: person.group && circleWords(person.group, session.groups.present(person).size),
    }[person.standing];
    say($("with-state"), [standing, person.compared ? "words compared" : ""].filter(Boolean).join(" · "));
    $("with-state").classList.toggle("here", here === true && person.standing === "contact");
    say($("typing"), isTyping ? `${name} is typing…` : "");
  }

  #banner(person: Person): void {
    const { session } = this;
    const box = $("banner");
    const mayWrite = this.#mayWrite(person);
    show(box, person.group ? !mayWrite : person.standing !== "contact");
    show($("compose"), mayWrite);
    const role = session.book.role(person);
    const looks = `${person.standing} ${person.request?.note} ${person.group?.state} ${person.group?.why} ${role}`;
    if (box.getAttribute("data-looks") === looks) return;
    box.setAttribute("data-looks", looks);
    const button = (label: string, testid: string, kind: string, run: () => unknown) => {
      const made = h("button", { type: "button", class: kind, "data-testid": testid }, label);
      made.addEventListener("click", async () => {
        try {
          await run();
        } catch (error) {
          complain("That did not work", error);
        }
      });
      return made;
    };
    const name = session.nameOf(person);
    if (person.group) {
      box.replaceChildren(h("p", {}, whyNot(person.group, role)));
    } else if (person.standing === "asked") {
      box.replaceChildren(
        h("p", {}, `${name} has not accepted yet. What you write now is shown to them with your request.`),
      );
    } else if (person.standing === "blocked") {
      box.replaceChildren(
        h("p", {}, "Blocked: nothing of theirs gets here, and nobody tells them."),
        button("Unblock", "unblock", "", () => session.block(person, false)),
      );
    } else if (person.standing === "stranger") {
      const asks = person.request === undefined ? "wrote to you" : "would like to write to you";
      const note = person.request?.note;
      box.replaceChildren(
        h("p", {}, `${name} ${asks}. They are told nothing before you accept.`),
        ...(note ? [h("p", { class: "note" }, `“${shown(note)}”`)] : []),
        h(
          "p",
          { class: "row buttons" },
          button("Accept", "accept", "primary", () => session.accept(person)),
          button("Turn away", "refuse", "", () => session.remove(person).then(() => this.close())),
          button("Block", "refuse-block", "danger", () => session.block(person, true)),
        ),
      );
    }
  }

  #line(person: Person, line: Line, before: Line | undefined, isLast: boolean): HTMLElement {
    const { session } = this;
    const files = line.attachments.map((attachment) => ({
      ...session.files.shown(attachment),
      picture: this.#picture(attachment),
    }));
    const answered = session.book.answered(person, line);
    const follows =
      before !== undefined &&
      before.own === line.own &&
      before.author === line.author &&
      line.time - before.time < TOGETHER &&
      before.time <= line.time;
    const setting = {
      name: this.session.authorOf(person, line),
      answers: answered === undefined ? "" : answered.own ? "You" : this.session.authorOf(person, answered),
      answered,
      follows,
      isLast,
      files,
      state: session.book.stateOf(person, line),
    };
    const nameOf = (identity: string) => session.book.memberName(person, identity);
    const others = Object.keys(line.reactions.others ?? {}).map(nameOf);
    const face = line.author === undefined ? undefined : session.book.memberFace(person, line.author);
    const looks = JSON.stringify([line, setting, others, face?.issued, person.group === undefined]);
    return this.#item(keyOf(line), looks, () => {
      if (person.group === undefined) return bubble(line, setting, this.#actions);
      const drawn = avatar(face?.name ?? setting.name, line.author ?? "", face);
      return bubble(line, { ...setting, group: { face: drawn, nameOf } }, this.#actions);
    });
  }

  #mayWrite(person: Person): boolean {
    const role = this.session.book.role(person);
    return ["contact", "asked"].includes(person.standing) || role === "writer" || role === "admin";
  }

  /** The element that looks so, made if there is none yet. */
  #item(key: string, looks: string, make: (looks: string) => HTMLElement): HTMLElement {
    const there = this.#drawn.get(key);
    if (there?.looks === looks) return there.item;
    const item = make(looks);
    if (there?.item.contains(document.activeElement))
      queueMicrotask(() => item.focus({ preventScroll: true }));
    this.#drawn.set(key, { looks, item });
    return item;
  }

  /** Puts elements into the log without touching those that stay. */
  #put(items: readonly HTMLElement[]): void {
    const wanted = new Set(items);
    for (const child of [...this.#log.children]) if (!wanted.has(child as HTMLElement)) child.remove();
    let at = this.#log.firstElementChild;
    for (const item of items) {
      if (at === item) at = at.nextElementSibling;
      else this.#log.insertBefore(item, at);
    }
  }

  /** A picture that is whole and not too large; looked at when it is first drawn. */
  #picture(attachment: Attachment): Picture | undefined {
    const { hash, type } = attachment;
    if (!/^image\/(png|jpeg|webp|gif)$/.test(type)) return undefined;
    const there = this.#pictures.get(hash);
    if (there !== undefined) return there === "none" ? undefined : there;
    if (this.session.files.shown(attachment).state !== "whole") return undefined;
    this.#pictures.set(hash, "none");
    void this.#load(attachment);
    return undefined;
  }

  async #load(attachment: Attachment): Promise<void> {
    const blob = await this.session.files.blob(attachment);
    const head = blob && new Uint8Array(await blob.slice(0, HEAD).arrayBuffer());
    const size = head && pixelsOf(head);
    const url = await this.session.files.url(attachment);
    if (
      !size ||
      url === undefined ||
      size.width * size.height > MOST_PIXELS ||
      size.width * size.height === 0
    )
      return;
    this.#pictures.set(attachment.hash, { url, ...size });
    this.drawSoon();
  }

  readonly #actions: Actions = {
    menu: (line, at) => this.#menu(line, at),
    jump: (line) => this.jump(line),
    answer: (line, take) => this.#answer(line, take),
    react: (line, emoji) => this.person && this.session.react(this.person, line, emoji),
    again: (line) => this.person && this.session.again(this.person, line),
    fetch: (attachment, wanted) => void this.session.files.want(attachment, wanted),
    save: (attachment) => void this.save(attachment),
    view: (attachment) => {
      const picture = this.#pictures.get(attachment.hash);
      if (picture !== undefined && picture !== "none") this.around.view(attachment, picture.url);
    },
  };

  /** Gives a file to the browser's downloads. */
  async save(attachment: Attachment): Promise<void> {
    try {
      const url = await this.session.files.url(attachment);
      if (url === undefined) throw new Error("It is not here yet.");
      const link = h("a", { href: url, download: shown(attachment.name) });
      link.click();
    } catch (error) {
      complain("It was not saved", error);
    }
  }

  #menu(line: Line, at: HTMLElement): void {
    const { person, session } = this;
    if (person === undefined) return;
    const mayWrite = this.#mayWrite(person);
    const reactions = REACTIONS.map((emoji) => ({
      label: `React with ${emoji}`,
      sign: emoji,
      testid: `react-${emoji}`,
      run: () => session.react(person, line, emoji),
    }));
    const copying = async () => {
      if (await copy(shown(line.text))) tell("Copied.");
    };
    openMenu(at, [
      ...(mayWrite ? reactions : []),
      ...(mayWrite ? [{ label: "Reply", testid: "menu-reply", run: () => this.compose.reply(line) }] : []),
      ...(line.text ? [{ label: "Copy", testid: "menu-copy", run: () => void copying() }] : []),
      ...(line.own && line.text && mayWrite && line.invitation === undefined
        ? [{ label: "Edit", testid: "menu-edit", run: () => this.compose.edit(line) }]
        : []),
      ...(line.own
        ? [
            {
              label: "Take back",
              testid: "menu-delete",
              danger: true,
              run: () => void this.#erase(person, line),
            },
          ]
        : []),
    ]);
  }

  #answer(line: Line, take: boolean): void {
    try {
      const group = this.person && this.session.answer(this.person, line, take);
      if (group) void this.open(group);
    } catch (error) {
      complain("That did not work", error);
    }
  }

  async #erase(person: Person, line: Line): Promise<void> {
    const why = "It is deleted here, and there as soon as they are reached. Who has read it, has read it.";
    if (await this.around.sure("Take this message back?", why, "Take it back"))
      this.session.erase(person, line);
  }

  #earlier(): void {
    const { scrollHeight, scrollTop } = this.#scroll;
    this.#from = Math.max(0, this.#from - SOME);
    this.#atEnd = false;
    this.draw();
    this.#scroll.scrollTop = scrollTop + this.#scroll.scrollHeight - scrollHeight;
  }

  #scrolled(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#atEnd) show($("down"), false);
    else if (scrollHeight - scrollTop > 3 * clientHeight) show($("down"), true);
    if (scrollTop < NEAR && this.#from > 0) this.#earlier();
    closeMenu();
  }

  #stayAtEnd(): void {
    if (this.#atEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #seen(): void {
    if (this.person && this.isVisible(this.person)) this.session.see(this.person);
  }

  /** Arrow keys go from line to line. */
  #arrows(event: KeyboardEvent): void {
    const line = (event.target as Element).closest(".line");
    if (line === null || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const lines = [...this.#log.querySelectorAll<HTMLElement>(".line")];
    const next = lines[lines.indexOf(line as HTMLElement) + (event.key === "ArrowUp" ? -1 : 1)];
    event.preventDefault();
    next?.focus();
  }

  #find(): void {
    show($("find-bar"), true);
    $("find-input").focus();
  }

  #findEnds(): void {
    show($("find-bar"), false);
    $<HTMLInputElement>("find-input").value = "";
    say($("find-count"), "");
    this.#found = undefined;
  }

  /** The next line that has the words, going back. */
  #findNext(): void {
    const { person } = this;
    const words = $<HTMLInputElement>("find-input").value.trim();
    if (person === undefined || words === "") return;
    if (this.#found?.words !== words)
      this.#found = { words, lines: this.session.book.search(person, words), at: -1 };
    const { lines } = this.#found;
    this.#found.at = (this.#found.at + 1) % Math.max(1, lines.length);
    const line = lines[this.#found.at];
    say($("find-count"), line ? `${this.#found.at + 1} of ${lines.length}` : "Nothing");
    if (line) this.jump(line);
    $("find-input").focus({ preventScroll: true });
  }
}

/** A group in a few words. */
function circleWords({ state, members, why }: Circle, present: number): string {
  if (state === "joining") return "group · waiting for an admin";
  if (state === "out") return `group · ${OUT[why ?? ""] ?? "not a member"}`;
  const count = Object.keys(members).length;
  return `group · ${count === 1 ? "1 member" : `${count} members`} · ${present + 1} here`;
}

const OUT: { readonly [why: string]: string } = {
  removed: "you were removed",
  "invitation-used": "the invitation was used already",
  "invitation-expired": "the invitation has ended",
  "bad-invitation": "the invitation is damaged",
};

/** Why one cannot write in a group. */
function whyNot({ state, why }: Circle, role: Role | undefined): string {
  if (state === "joining")
    return "You have taken the invitation. You are in as soon as an admin of the group is here at the same time.";
  if (state === "member" && role === "reader") return "You may read in this group, and not write.";
  return `You are no member of this group: ${OUT[why ?? ""] ?? "nobody let you in"}. What was said stays here until you leave it.`;
}

const NOTHING = "Nothing said yet. Nobody on the way can read what you write here.";
const keyOf = (line: Line): string => `line ${line.key}`;
