/** The part of the page where a sovereign's key is made, imported, shown and forgotten. */

import { $, copy, h, say, show } from "../demo/dom.js";
import { canSign, Key, NoKeys } from "./key.js";
import { count } from "./words.js";

/**
 * Who has a key here: nobody, a sovereign, somebody who is none (while others are), somebody where nobody is sovereign, or
 * somebody of whom it is not known yet.
 */
export type Standing = "nobody" | "sovereign" | "stranger" | "first" | "unknown";

export class Keeping {
  key: Key | undefined;
  /** Undefined before the signaler said it. */
  private sovereigns: readonly string[] | undefined;
  private network = "";
  private readonly problem = $("key-problem");
  private readonly dialog = $<HTMLDialogElement>("import");
  private readonly text = $<HTMLTextAreaElement>("import-text");
  private readonly importProblem = $("import-problem");

  constructor(
    private readonly changed: () => void,
    private readonly tell: (text: string) => void,
  ) {
    $("key-make").addEventListener("click", () => {
      void this.change(() => Key.make(), "A key was made, and is kept in this browser.");
    });
    $("key-import").addEventListener("click", () => {
      show(this.importProblem, false);
      this.text.value = "";
      this.dialog.showModal();
    });
    $("key-copy").addEventListener("click", () => void this.copy());
    $("key-forget").addEventListener("click", () => $<HTMLDialogElement>("forget").showModal());
    $("forget-form").addEventListener("submit", () => void this.forget());
    for (const name of ["import", "forget"])
      $(`${name}-cancel`).addEventListener("click", () => $<HTMLDialogElement>(name).close());
    $<HTMLInputElement>("import-file").addEventListener("change", (event) => {
      const [file] = (event.target as HTMLInputElement).files ?? [];
      void file
        ?.slice(0, 4096)
        .text()
        .then((text) => {
          this.text.value = text;
        });
    });
    $("import-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.import();
    });
  }

  /** Looks for a key that is kept; says so if this browser can have none. */
  async start(): Promise<void> {
    try {
      await canSign();
      this.key = await Key.kept();
    } catch (error) {
      this.complain(error);
      if (error instanceof NoKeys) for (const id of ["key-make", "key-import"]) show($(id), false);
    }
    this.draw();
  }

  /** Who may decide, as the signaler says. */
  setRegistry(network: string, sovereigns: readonly string[]): void {
    if (network === this.network && String(sovereigns) === String(this.sovereigns)) return;
    this.network = network;
    this.sovereigns = sovereigns;
    this.draw();
  }

  get standing(): Standing {
    if (this.key === undefined) return "nobody";
    if (this.sovereigns === undefined) return "unknown";
    if (this.sovereigns.length === 0) return "first";
    return this.sovereigns.includes(this.key.text) ? "sovereign" : "stranger";
  }

  private async change(make: () => Promise<Key>, done: string): Promise<boolean> {
    show(this.problem, false);
    try {
      this.key = await make();
      this.draw();
      this.tell(done);
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    }
  }

  private async import(): Promise<void> {
    try {
      const key = await Key.import(this.text.value);
      this.text.value = "";
      $<HTMLInputElement>("import-file").value = "";
      this.dialog.close();
      await this.change(async () => key, "The key was imported, and is kept in this browser.");
    } catch (error) {
      say(this.importProblem, error instanceof Error ? error.message : String(error));
      show(this.importProblem, true);
    }
  }

  private async forget(): Promise<void> {
    await Key.forget().catch((error: unknown) => this.complain(error));
    this.key = await Key.kept().catch(() => undefined);
    this.draw();
    this.tell("The key was deleted from this browser.");
  }

  private async copy(): Promise<void> {
    if (this.key === undefined) return;
    if (await copy(this.key.text)) this.tell("The public key is copied.");
    else prompt("Copy this", this.key.text);
  }

  private draw(): void {
    const { key, standing } = this;
    if (this.sovereigns !== undefined) $("key-words").replaceChildren(...this.words(this.sovereigns.length));
    show($("key-none"), key === undefined);
    show($("key-there"), key !== undefined);
    if (key !== undefined) {
      const sovereign = standing === "sovereign";
      say($("key-text"), key.text);
      show($("key-standing"), standing !== "unknown");
      say($("key-standing"), sovereign ? "sovereign here" : "not a sovereign here");
      $("key-standing").className = sovereign ? "pill good" : "pill warn";
      show($("key-how"), standing === "stranger" || standing === "first");
      const [how, line] = howToBe(key.text, standing === "first");
      $("key-how-words").replaceChildren(...how);
      say($("key-add"), line);
    }
    this.changed();
  }

  private words(sovereigns: number): (Node | string)[] {
    const network = h("b", {}, this.network);
    if (sovereigns === 0)
      return [
        "Nobody can decide yet who takes part in ",
        network,
        ": it has no sovereign.",
        ...(this.key === undefined
          ? [
              " Make a key or import one, and name it when this signaler is started, as ",
              h("code", {}, "--sovereign KEY"),
              ": then it decides.",
            ]
          : []),
      ];
    return [
      `Who takes part in `,
      network,
      ` is decided by ${count(sovereigns, "sovereign")}. With the key of one in this browser you approve, deny, reset and revoke here.`,
    ];
  }

  private complain(error: unknown): void {
    say(this.problem, error instanceof Error ? error.message : String(error));
    show(this.problem, true);
  }
}

/** What makes this key a sovereign: words, and what to write in a shell. */
function howToBe(key: string, first: boolean): readonly [readonly (Node | string)[], string] {
  if (first) {
    const words =
      "Start this signaler once more with this beside its other options. It keeps it in its database:";
    return [[words], `--sovereign ${key}`];
  }
  const words = [
    "A sovereign has to add it first. In a shell, ",
    h("code", {}, "DIR"),
    " being where its own key is:",
  ];
  const here = new URL(".", location.href).href.replace(/\/$/, "");
  return [words, `weft sovereign add ${key} --signaler ${here} --data DIR`];
}
