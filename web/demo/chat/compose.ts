/** What is typed: a text, what it answers or changes, and files. */

import { $, h, say, show } from "../dom.js";
import { bytes } from "../words.js";
import { icon } from "./bubbles.js";
import { type Attachment, BOUNDS, bytesOf, shown } from "./documents.js";
import type { Line, Person } from "./model.js";
import type { Session } from "./session.js";

/** Milliseconds without a key after which one types no more. */
const PAUSE = 5000;

/** What somebody has begun to write. */
interface Draft {
  text: string;
  reply: Line | undefined;
  edit: Line | undefined;
  files: Staged[];
}

/** A file that is to be sent. */
interface Staged {
  readonly file: File;
  done: number;
  attachment: Attachment | undefined;
  readonly ready: Promise<void>;
}

export class Compose {
  readonly #input = $<HTMLTextAreaElement>("compose-input");
  readonly #drafts = new Map<Person, Draft>();
  #person: Person | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #sending = false;

  constructor(
    readonly session: Session,
    readonly sent: () => void,
  ) {
    $("compose").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    $("context-close").addEventListener("click", () => this.#drop());
    $("attach").addEventListener("click", () => $("attach-input").click());
    const chosen = $<HTMLInputElement>("attach-input");
    chosen.addEventListener("change", () => {
      this.add(chosen.files);
      chosen.value = "";
    });
    this.#input.addEventListener("paste", (event) => {
      const files = event.clipboardData?.files;
      if (!files || files.length === 0) return;
      event.preventDefault();
      this.add(files);
    });
    this.#startDrop($("talk"));
  }

  focus(): void {
    this.#input.focus({ preventScroll: true });
  }

  open(person: Person): void {
    if (this.#person === person) return;
    this.leave();
    this.#person = person;
    this.#input.value = this.#draft?.text ?? "";
    this.#draw();
  }

  /** What was begun stays, for when one comes back. */
  leave(): void {
    if (this.#draft) this.#draft.text = this.#input.value;
    if (this.#person) this.session.courier.typing(this.#person, false);
    this.#person = undefined;
  }

  reply(line: Line): void {
    if (this.#draft) Object.assign(this.#draft, { reply: line, edit: undefined });
    this.#draw();
    this.focus();
  }

  edit(line: Line): void {
    if (this.#draft) Object.assign(this.#draft, { reply: undefined, edit: line });
    this.#input.value = line.text;
    this.#draw();
    this.focus();
  }

  /** Attaches files. */
  add(list: FileList | null | undefined): void {
    const draft = this.#draft;
    if (!draft || !list) return;
    this.#problem("");
    for (const file of list) {
      if (draft.files.length >= BOUNDS.attachments) {
        this.#problem(`A message has at most ${BOUNDS.attachments} attachments.`);
        break;
      }
      this.#stage(draft, file);
    }
    this.#draw();
    this.focus();
  }

  get #draft(): Draft | undefined {
    if (this.#person === undefined) return undefined;
    const draft = this.#drafts.get(this.#person) ?? {
      text: "",
      reply: undefined,
      edit: undefined,
      files: [],
    };
    this.#drafts.set(this.#person, draft);
    return draft;
  }

  #stage(draft: Draft, file: File): void {
    let staged: Staged;
    const take = async () => {
      try {
        const attachment = await this.session.files.adopt(file, (done) => {
          staged.done = done;
          this.#drawFiles();
        });
        staged.attachment = attachment;
      } catch (error) {
        draft.files = draft.files.filter((each) => each !== staged);
        this.#problem(error instanceof Error ? error.message : String(error));
      }
      this.#drawFiles();
    };
    staged = { file, done: 0, attachment: undefined, ready: Promise.resolve().then(take) };
    draft.files.push(staged);
  }

  async #submit(): Promise<void> {
    const person = this.#person;
    const draft = this.#draft;
    const text = this.#input.value.trim();
    if (person === undefined || draft === undefined || this.#sending) return;
    if (bytesOf(text) > BOUNDS.text) {
      this.#problem(`A message has at most ${bytes(BOUNDS.text)}; this one has ${bytes(bytesOf(text))}.`);
      return;
    }
    const { edit, reply } = draft;
    if (edit !== undefined) {
      if (text === "") return;
      if (text !== edit.text) this.session.edit(person, edit, text);
      this.#drop();
      return;
    }
    if (text === "" && draft.files.length === 0) return;
    this.#sending = true;
    try {
      await Promise.all(draft.files.map(({ ready }) => ready));
      const attachments = draft.files
        .map(({ attachment }) => attachment)
        .filter((each) => each !== undefined);
      if (text === "" && attachments.length === 0) return;
      await this.session.write(person, text, reply, attachments);
    } catch (error) {
      this.#problem(error instanceof Error ? error.message : String(error));
      return;
    } finally {
      this.#sending = false;
    }
    this.#drafts.delete(person);
    if (this.#person !== person) return;
    this.#input.value = "";
    clearTimeout(this.#pause);
    this.#problem("");
    this.#draw();
    this.sent();
  }

  #typed(): void {
    this.#grow();
    this.#problem("");
    const person = this.#person;
    if (person === undefined || !this.session.settings.typing || this.#draft?.edit) return;
    clearTimeout(this.#pause);
    const on = this.#input.value.trim() !== "";
    this.session.courier.typing(person, on);
    if (on) this.#pause = setTimeout(() => this.session.courier.typing(person, false), PAUSE);
  }

  #key(event: KeyboardEvent): void {
    // While an input method composes, keys belong to it.
    if (event.isComposing) return;
    const isEmpty = this.#input.value === "";
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void this.#submit();
    } else if (event.key === "Escape" && (this.#draft?.edit || this.#draft?.reply)) {
      event.stopPropagation();
      this.#drop();
    } else if (event.key === "ArrowUp" && isEmpty && this.#person) {
      const last = this.session.book
        .lines(this.#person)
        .findLast(({ own, deleted, text, invitation }) => own && !deleted && text && !invitation);
      if (last === undefined) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  /** Leaves what is answered or changed. */
  #drop(): void {
    const draft = this.#draft;
    if (draft?.edit) this.#input.value = "";
    if (draft) Object.assign(draft, { reply: undefined, edit: undefined });
    this.#draw();
    this.focus();
  }

  #draw(): void {
    const draft = this.#draft;
    const line = draft?.edit ?? draft?.reply;
    show($("context"), line !== undefined);
    if (line && this.#person) {
      const whom = line.own ? "yourself" : this.session.authorOf(this.#person, line);
      say($("context-what"), draft?.edit ? "Editing" : `Answering ${whom}`);
      say($("context-text"), shown(line.text) || (line.attachments[0]?.name ?? ""));
    }
    this.#drawFiles();
    this.#grow();
  }

  #drawFiles(): void {
    const files = this.#draft?.files ?? [];
    show($("attached"), files.length > 0);
    $("attached").replaceChildren(
      ...files.map((staged) => {
        const { file, done, attachment } = staged;
        const remove = h(
          "button",
          { type: "button", class: "icon-button", "aria-label": `Leave out ${file.name}` },
          icon("i-close"),
        );
        remove.addEventListener("click", () => {
          const draft = this.#draft;
          if (draft) draft.files = draft.files.filter((each) => each !== staged);
          this.#draw();
        });
        const progress = h("progress", {
          max: Math.max(1, file.size),
          value: done,
          "aria-label": `${file.name} is being prepared`,
        });
        return h(
          "li",
          { "data-testid": "staged", "data-ready": String(attachment !== undefined) },
          h(
            "span",
            { class: "file-words" },
            h("span", { class: "file-name" }, file.name),
            h("span", { class: "file-size" }, bytes(file.size)),
          ),
          attachment === undefined ? progress : undefined,
          remove,
        );
      }),
    );
  }

  #problem(text: string): void {
    say($("compose-problem"), text);
    show($("compose-problem"), text !== "");
  }

  /** As high as what is in it. */
  #grow(): void {
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight + 2}px`;
  }

  #startDrop(area: HTMLElement): void {
    const has = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
    let inside = 0;
    area.addEventListener("dragenter", (event) => {
      if (!has(event) || this.#person === undefined) return;
      event.preventDefault();
      inside += 1;
      show($("drop"), true);
    });
    area.addEventListener("dragover", (event) => has(event) && event.preventDefault());
    area.addEventListener("dragleave", () => {
      inside = Math.max(0, inside - 1);
      if (inside === 0) show($("drop"), false);
    });
    area.addEventListener("drop", (event) => {
      inside = 0;
      show($("drop"), false);
      if (!has(event)) return;
      event.preventDefault();
      this.add(event.dataTransfer?.files);
    });
  }
}
