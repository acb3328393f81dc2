/** A terminal without a window: tmux, on a server of its own. */
import { execFileSync } from "node:child_process";
import type { TestContext } from "node:test";
import { program } from "../e2e/browser.ts";
import { environment, until } from "./signaler.ts";
import { PROGRAM } from "./weft.ts";

/** How long something may take to be on the screen, milliseconds. */
const PATIENCE = 40_000;

let count = 0;

export class Terminal {
  private constructor(readonly server: string) {}

  /** Runs `weft chat` in a terminal of that size until the test ends. */
  static start(t: TestContext, args: readonly string[], columns: number, rows: number): Terminal {
    count += 1;
    const terminal = new Terminal(`weft-test-${process.pid}-${count}`);
    const words = [PROGRAM, "chat", ...args].map((word) => `'${word}'`).join(" ");
    // What the shell says after the program shows how the terminal was left.
    const shell = `${words}; echo "ended with $?"; stty -a | grep -o -- '-\\?icanon'; exec cat`;
    terminal.#tmux("-f", "/dev/null", "new-session", "-d", "-x", `${columns}`, "-y", `${rows}`, shell);
    t.after(() => terminal.#kill());
    return terminal;
  }

  #tmux(...args: readonly string[]): string {
    const env = environment({ TZ: "UTC", LANG: "C.UTF-8", LC_ALL: "C.UTF-8", TERM: "xterm-256color" });
    return execFileSync(program("tmux"), ["-u", "-L", this.server, ...args], { encoding: "utf8", env });
  }

  #kill(): void {
    try {
      this.#tmux("kill-server");
    } catch {
      // It ended with its program.
    }
  }

  /** Types words as they are. */
  type(words: string): void {
    this.#tmux("send-keys", "-l", words);
  }

  /** Presses keys by tmux's names. */
  press(...keys: readonly string[]): void {
    this.#tmux("send-keys", ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`);
  }

  screen(): string {
    return this.#tmux("capture-pane", "-p");
  }

  /** The process that runs in it, for signals. */
  pid(): number {
    const shell = this.#tmux("display-message", "-p", "#{pane_pid}").trim();
    return Number(execFileSync("pgrep", ["-P", shell], { encoding: "utf8" }).split("\n")[0]);
  }

  /** Waits until something is on the screen. */
  async shows(what: string | RegExp): Promise<string> {
    const is = (screen: string) => (typeof what === "string" ? screen.includes(what) : what.test(screen));
    return await until(`${what} on the screen`, () => this.screen(), is, PATIENCE);
  }

  async hides(what: string): Promise<void> {
    await until(
      `${what} gone from the screen`,
      async () => this.screen(),
      (screen) => !screen.includes(what),
    );
  }
}
