/** The part of the page where a sovereign's key is made, imported, shown and forgotten. */

import { $, copy, say, show } from "../demo/dom.js";
import { canSign, Key, NoKeys } from "./key.js";

export class Keeping {
  key: Key | undefined;
  private sovereigns: readonly string[] = [];
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
  setSovereigns(sovereigns: readonly string[]): void {
    this.sovereigns = sovereigns;
    this.draw();
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
    const { key } = this;
    show($("key-none"), key === undefined);
    show($("key-there"), key !== undefined);
    if (key !== undefined) {
      const sovereign = this.sovereigns.includes(key.text);
      say($("key-text"), key.text);
      say($("key-standing"), sovereign ? "sovereign here" : "not a sovereign here");
      $("key-standing").className = sovereign ? "pill good" : "pill warn";
      say($("key-add"), `weft sovereign add ${key.text}`);
      show($("key-how"), !sovereign);
    }
    this.changed();
  }

  private complain(error: unknown): void {
    say(this.problem, error instanceof Error ? error.message : String(error));
    show(this.problem, true);
  }
}
