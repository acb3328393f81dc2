/** The dialogs: adding somebody, oneself, one person, a picture, and "are you sure". */

import { $, copy, h, say, show } from "../dom.js";
import { complain, tell } from "../notices.js";
import { fitName } from "../words.js";
import { isSignaler, lookUp, parseAddress } from "./address.js";
import type { Attachment } from "./documents.js";
import { shown } from "./documents.js";
import { avatar, COLORS, colorOf, smallPicture } from "./faces.js";
import { isInvitation } from "./identity.js";
import type { Person } from "./model.js";
import { askToNotify, mayNotify } from "./notify.js";
import type { Session } from "./session.js";
import { merge } from "./settings.js";

/** Closes dialogs by their cross and by a click beside them. */
export function startSheets(): void {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    for (const cross of dialog.querySelectorAll("[data-close]"))
      cross.addEventListener("click", () => dialog.close());
  }
}

/** Asks before what cannot be undone. */
export function sure(what: string, why: string, yes: string): Promise<boolean> {
  const dialog = $<HTMLDialogElement>("sure");
  say($("sure-what"), what);
  say($("sure-why"), why);
  say($("sure-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}

/** Shows a picture as large as the window lets it be. */
export function view(attachment: Attachment, url: string, save: () => void): void {
  const name = shown(attachment.name);
  say($("viewer-name"), name);
  $("viewer-picture").replaceChildren(h("img", { src: url, alt: name }));
  $("viewer-save").onclick = save;
  $<HTMLDialogElement>("viewer").showModal();
}

/** Adding somebody, and being added. */
export class AddSheet {
  readonly #dialog = $<HTMLDialogElement>("add-dialog");
  readonly #address = $<HTMLInputElement>("add-address");
  #camera = new AbortController();

  constructor(
    readonly session: Session,
    readonly added: (person: Person) => void,
  ) {
    $("new-group").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#found();
    });
    $("add-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.#dialog.addEventListener("close", () => this.#camera.abort());
    show($("add-scan"), navigator.mediaDevices?.getUserMedia !== undefined);
    $("add-scan").addEventListener("click", () => void this.#scan());
    $("scanner-stop").addEventListener("click", () => this.#camera.abort());
    $("copy-link").addEventListener("click", () => void copied(session.pageLink(), "Your link is copied."));
    $("copy-key").addEventListener("click", () => void copied(session.weft.identity, "Your key is copied."));
    show($("share-link"), "share" in navigator);
    $("share-link").addEventListener("click", () => {
      navigator.share({ title: "Weft Chat", url: session.pageLink() }).catch(() => {});
    });
  }

  open(address = ""): void {
    this.#address.value = address;
    $<HTMLInputElement>("add-note").value = "";
    this.#problem("");
    void this.#code(this.session.link());
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#address.focus();
  }

  /** What draws and reads codes is loaded when it is needed; so are the words. */
  async #code(link: string): Promise<void> {
    const { drawCode } = await import("./qr.js");
    $("code").replaceChildren(drawCode(link, "A QR code of your link"));
  }

  async #submit(): Promise<void> {
    const button = document.querySelector<HTMLButtonElement>("#add-form [type=submit]");
    if (button) button.disabled = true;
    try {
      if (isInvitation(this.#address.value)) {
        const group = this.session.join(this.#address.value);
        this.#dialog.close();
        return this.added(group);
      }
      const address = parseAddress(this.#address.value);
      const found = address instanceof URL ? await lookUp(address) : address;
      const before = this.session.settings.signalers.length;
      const person = await this.session.add(found, $<HTMLInputElement>("add-note").value.trim());
      this.#dialog.close();
      if (this.session.settings.signalers.length > before)
        tell("Their signaler is remembered, and used from the next start.", {
          label: "Reload",
          run: () => location.reload(),
        });
      this.added(person);
    } catch (error) {
      this.#problem(error instanceof Error ? error.message : String(error));
    } finally {
      if (button) button.disabled = false;
    }
  }

  /** Makes a group. */
  async #found(): Promise<void> {
    const input = $<HTMLInputElement>("new-group-name");
    const name = fitName(input.value);
    if (name === "") return input.focus();
    try {
      const group = await this.session.found(name);
      input.value = "";
      this.#dialog.close();
      this.added(group);
    } catch (error) {
      complain("The group was not made", error);
    }
  }

  async #scan(): Promise<void> {
    this.#camera = new AbortController();
    show($("scanner"), true);
    this.#problem("");
    try {
      const { scan } = await import("./qr.js");
      const text = await scan($<HTMLVideoElement>("scanner-video"), this.#camera.signal);
      if (text === undefined) return;
      this.#address.value = text;
      $("add-note").focus();
    } catch {
      this.#problem("There is no camera, or this page may not use it.");
    } finally {
      show($("scanner"), false);
    }
  }

  #problem(text: string): void {
    say($("add-problem"), text);
    show($("add-problem"), text !== "");
    this.#address.setAttribute("aria-invalid", String(text !== ""));
  }
}

/** Oneself: what others see, and settings. */
export class SelfSheet {
  readonly #dialog = $<HTMLDialogElement>("self-dialog");
  readonly #name = $<HTMLInputElement>("self-name");
  #color = "";
  #picture: Uint8Array | undefined;

  constructor(
    readonly session: Session,
    readonly changed: () => void,
  ) {
    $("self-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save();
    });
    const file = $<HTMLInputElement>("self-file");
    $("self-picture").addEventListener("click", () => file.click());
    file.addEventListener("change", () => void this.#choose(file));
    $("self-no-picture").addEventListener("click", () => {
      this.#picture = undefined;
      this.#draw();
    });
    for (const [at, color] of COLORS.entries()) {
      const input = h("input", {
        type: "radio",
        name: "color",
        value: color,
        "aria-label": `Colour ${at + 1}`,
      });
      input.addEventListener("change", () => {
        this.#color = color;
        this.#draw();
      });
      const swatch = h("label", { class: "swatch" }, input);
      swatch.style.setProperty("--face", color);
      $("self-colors").append(swatch);
    }
    this.#toggle("set-receipts", "receipts");
    this.#toggle("set-typing", "typing");
    this.#notify();
    $("set-save").addEventListener("click", () => void this.#signalers());
    startInstall();
  }

  open(): void {
    const { session } = this;
    const { face, signalers } = session.settings;
    this.#name.value = face.name;
    this.#color = face.color ?? colorOf(session.weft.identity);
    this.#picture = face.picture;
    for (const input of document.querySelectorAll<HTMLInputElement>("#self-colors input"))
      input.checked = input.value === this.#color;
    $<HTMLTextAreaElement>("set-signalers").value = signalers.join("\n");
    say($("self-key"), session.weft.identity);
    say(
      $("self-stored"),
      "Your key and your history are in this browser only, sealed. Whoever clears its data is somebody else afterwards.",
    );
    this.drawSignalers();
    this.#draw();
    this.#dialog.showModal();
  }

  drawSignalers(): void {
    $("signalers").replaceChildren(
      ...this.session.weft
        .signalers()
        .map(({ url, state, reason }) =>
          h(
            "li",
            { class: `signaler ${state}`, title: reason },
            h("span", {}, url),
            h("span", { class: "state" }, STATES[state]),
          ),
        ),
    );
  }

  #draw(): void {
    const picture = this.#picture;
    const face = { color: this.#color, ...(picture ? { picture } : {}) };
    $("self-face").replaceChildren(avatar(this.#name.value, this.session.weft.identity, face));
    show($("self-no-picture"), picture !== undefined);
  }

  async #choose(file: HTMLInputElement): Promise<void> {
    const [chosen] = file.files ?? [];
    file.value = "";
    if (chosen === undefined) return;
    try {
      this.#picture = await smallPicture(chosen);
      this.#draw();
    } catch (error) {
      complain("That picture was not taken", error);
    }
  }

  async #save(): Promise<void> {
    const name = fitName(this.#name.value);
    if (name === "") {
      this.#name.focus();
      return;
    }
    const picture = this.#picture;
    await this.session.setFace({ name, color: this.#color, ...(picture ? { picture } : {}) });
    this.#dialog.close();
    this.changed();
  }

  #toggle(id: string, setting: "receipts" | "typing"): void {
    const box = $<HTMLInputElement>(id);
    box.checked = this.session.settings[setting];
    box.addEventListener("change", () => void this.session.set({ [setting]: box.checked }));
  }

  #notify(): void {
    const box = $<HTMLInputElement>("set-notify");
    box.checked = this.session.settings.notify && mayNotify();
    box.addEventListener("change", async () => {
      box.disabled = true;
      if (box.checked && !(await askToNotify())) {
        box.checked = false;
        complain("Notifications are off", new Error("this browser does not allow them for this page"));
      }
      await this.session.set({ notify: box.checked });
      box.disabled = false;
    });
  }

  async #signalers(): Promise<void> {
    const urls = $<HTMLTextAreaElement>("set-signalers").value.split(/\s+/).filter(Boolean);
    const bad = urls.find((url) => !isSignaler(url));
    const problem =
      urls.length === 0
        ? "Give the address of at least one signaler."
        : bad && `${bad} is no address of a signaler: it begins with ws:// or wss://.`;
    say($("set-problem"), problem ?? "");
    show($("set-problem"), problem !== undefined);
    if (problem !== undefined) return;
    await this.session.set({ signalers: merge(urls, []) });
    location.replace(location.pathname);
  }
}

const STATES = {
  idle: "in reserve",
  connecting: "connecting…",
  connected: "connected",
  lost: "lost, trying again",
};

/** The browser offers to install the page: so does a button. */
function startInstall(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    show($("install"), true);
    $("install").onclick = () => void (event as Event & { prompt(): Promise<unknown> }).prompt();
  });
  addEventListener("appinstalled", () => show($("install"), false));
}

/** One person: their name, words, and what is done about them. */
export class PersonSheet {
  readonly #dialog = $<HTMLDialogElement>("person-dialog");
  #person: Person | undefined;

  constructor(
    readonly session: Session,
    readonly removed: () => void,
  ) {
    const note = (change: Parameters<Session["note"]>[1]) => {
      if (this.#person) session.note(this.#person, change);
      this.#draw();
    };
    $("person-form").addEventListener("submit", (event) => {
      event.preventDefault();
      note({ localName: fitName($<HTMLInputElement>("person-name").value) });
      this.#dialog.close();
    });
    const compared = $<HTMLInputElement>("person-compared");
    compared.addEventListener("change", () => note({ compared: compared.checked }));
    $("person-mute").addEventListener("click", () => note({ muted: this.#person?.muted !== true }));
    $("person-block").addEventListener("click", () => {
      if (this.#person) session.block(this.#person, this.#person.standing !== "blocked");
      this.#draw();
    });
    $("person-copy").addEventListener(
      "click",
      () => void copied(this.#person?.identity ?? "", "Their key is copied."),
    );
    $("person-remove").addEventListener("click", () => void this.#remove());
  }

  open(person: Person): void {
    const { session } = this;
    this.#person = person;
    $<HTMLInputElement>("person-name").value = person.localName ?? "";
    $<HTMLInputElement>("person-name").placeholder = session.nameOf(person);
    say($("person-key"), person.identity);
    $("words").replaceChildren();
    void this.#words(person);
    this.#draw();
    this.#dialog.showModal();
  }

  async #words(person: Person): Promise<void> {
    const { verificationWords } = await import("./words.js");
    const words = await verificationWords(this.session.weft.identity, person.identity);
    if (this.#person === person) $("words").replaceChildren(...words.map((word) => h("li", {}, word)));
  }

  #draw(): void {
    const { session } = this;
    const person = this.#person;
    if (person === undefined) return;
    const name = session.nameOf(person);
    say($("person-heading"), name);
    $("person-face").replaceChildren(avatar(name, person.identity, person.face));
    $<HTMLInputElement>("person-compared").checked = person.compared === true;
    say($("person-mute"), person.muted ? "Unmute" : "Mute");
    say($("person-block"), person.standing === "blocked" ? "Unblock" : "Block");
  }

  async #remove(): Promise<void> {
    const person = this.#person;
    if (person === undefined) return;
    const name = this.session.nameOf(person);
    const why = "What was said goes with them, here. They are told nothing.";
    if (!(await sure(`Remove ${name}?`, why, "Remove"))) return;
    this.#dialog.close();
    await this.session.remove(person);
    this.removed();
  }
}

async function copied(text: string, done: string): Promise<void> {
  if (await copy(text)) tell(done);
  else prompt("Copy this", text);
}
