/** The dialog of a group: what it is called, who is in it, and who is asked to be. */

import { $, h, perFrame, say, show } from "../dom.js";
import { complain, tell } from "../notices.js";
import { fitName } from "../words.js";
import { avatar, smallPicture } from "./faces.js";
import type { Person } from "./model.js";
import type { Session } from "./session.js";
import { sure } from "./sheets.js";

export class GroupSheet {
  readonly drawSoon = perFrame(() => this.#dialog.open && this.draw());
  readonly #dialog = $<HTMLDialogElement>("group-dialog");
  #group: Person | undefined;

  constructor(
    readonly session: Session,
    readonly left: () => void,
  ) {
    $("group-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = fitName($<HTMLInputElement>("group-name").value);
      const picture = this.#group?.face?.picture;
      if (this.#group && name) session.nameGroup(this.#group, { name, ...(picture ? { picture } : {}) });
    });
    const file = $<HTMLInputElement>("group-file");
    $("group-picture").addEventListener("click", () => file.click());
    file.addEventListener("change", () => void this.#choose(file));
    $("group-invite").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#invite();
    });
    $("group-mute").addEventListener("click", () => {
      if (this.#group) session.note(this.#group, { muted: this.#group.muted !== true });
      this.draw();
    });
    $("group-leave").addEventListener("click", () => void this.#leave());
  }

  open(group: Person): void {
    this.#group = group;
    $<HTMLInputElement>("group-name").value = this.session.nameOf(group);
    this.draw();
    this.#dialog.showModal();
  }

  draw(): void {
    const { session } = this;
    const group = this.#group;
    if (group?.group === undefined) return;
    const name = session.nameOf(group);
    const isAdmin = session.book.role(group) === "admin";
    say($("group-heading"), name);
    $("group-face").replaceChildren(avatar(name, group.identity, group.face));
    for (const id of ["group-form", "group-invite"]) show($(id), isAdmin);
    say($("group-mute"), group.muted ? "Unmute" : "Mute");
    const present = session.groups.present(group);
    const members = Object.keys(group.group.members);
    const looks = JSON.stringify([members.map((who) => this.#words(group, who, present.has(who))), isAdmin]);
    const list = $("group-members");
    // Whoever is about to press something presses it.
    if (list.getAttribute("data-looks") !== looks) {
      list.setAttribute("data-looks", looks);
      list.replaceChildren(...members.map((who) => this.#member(group, who, present.has(who), isAdmin)));
    }
    this.#guests(group);
  }

  #name(group: Person, who: string): string {
    const { session } = this;
    return who === session.weft.identity ? session.settings.face.name : session.book.memberName(group, who);
  }

  #words(group: Person, who: string, present: boolean): string[] {
    const { members = {}, left = {} } = group.group ?? {};
    return [
      this.#name(group, who),
      who === this.session.weft.identity ? "you" : "",
      members[who] === "admin" ? "admin" : members[who] === "reader" ? "reads only" : "",
      who in left ? "has left" : present ? "here now" : "",
    ];
  }

  #member(group: Person, who: string, present: boolean, isAdmin: boolean): HTMLElement {
    const { session } = this;
    const own = who === session.weft.identity;
    const face = own ? session.settings.face : session.book.memberFace(group, who);
    const [name = "", ...words] = this.#words(group, who, present);
    const remove = h(
      "button",
      { type: "button", "data-testid": "member-remove", "aria-label": `Remove ${name}` },
      "Remove",
    );
    remove.addEventListener("click", () => void this.#expel(group, who, name));
    return h(
      "li",
      { class: "member", "data-testid": "member" },
      avatar(face?.name ?? name, who, face, present),
      h(
        "span",
        { class: "row-words" },
        h("span", { class: "row-name" }, name),
        h("span", { class: "row-text" }, words.filter(Boolean).join(" · ")),
      ),
      isAdmin && !own ? remove : undefined,
    );
  }

  /** Contacts that are not in it. */
  #guests(group: Person): void {
    const { session } = this;
    const members = group.group?.members ?? {};
    const isGuest = ({ standing, identity }: Person) => standing === "contact" && !(identity in members);
    const people = session.book.people().filter(isGuest);
    const chosen = $<HTMLSelectElement>("group-guest");
    const before = chosen.value;
    const options = people.map((person) => h("option", { value: person.identity }, session.nameOf(person)));
    const none = options.length === 0;
    chosen.replaceChildren(...(none ? [h("option", { value: "" }, "All your contacts are in it")] : options));
    if (people.some(({ identity }) => identity === before)) chosen.value = before;
    chosen.disabled = none;
    $<HTMLButtonElement>("group-invite-submit").disabled = none;
  }

  async #choose(file: HTMLInputElement): Promise<void> {
    const [chosen] = file.files ?? [];
    const group = this.#group;
    file.value = "";
    if (chosen === undefined || group === undefined) return;
    try {
      const picture = await smallPicture(chosen);
      this.session.nameGroup(group, { name: this.session.nameOf(group), picture });
      this.draw();
    } catch (error) {
      complain("That picture was not taken", error);
    }
  }

  async #invite(): Promise<void> {
    const group = this.#group;
    const person = this.session.book.person($<HTMLSelectElement>("group-guest").value);
    if (group === undefined || person === undefined) return;
    try {
      await this.session.invite(group, person, $<HTMLInputElement>("group-history").checked);
      tell(`${this.session.nameOf(person)} is invited.`);
    } catch (error) {
      complain("They were not invited", error);
    }
  }

  async #expel(group: Person, who: string, name: string): Promise<void> {
    const why = "They read and write nothing more. What they have, they keep.";
    if (!(await sure(`Remove ${name}?`, why, "Remove"))) return;
    try {
      this.session.expel(group, who);
    } catch (error) {
      complain("They were not removed", error);
    }
    this.draw();
  }

  async #leave(): Promise<void> {
    const group = this.#group;
    if (group === undefined) return;
    const why = "What was said in it goes with it, here. The others see that you have left.";
    if (!(await sure(`Leave ${this.session.nameOf(group)}?`, why, "Leave"))) return;
    this.#dialog.close();
    try {
      await this.session.leave(group);
    } catch (error) {
      complain("It was not left", error);
    }
    this.left();
  }
}
