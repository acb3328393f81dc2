/** Short notices in a corner: what went wrong, with the stable code, and what just worked. */

import { WeftError } from "weft-mesh";
import { $, h } from "./dom.js";

/** More than this many at once help nobody. */
const MOST = 4;
/** Milliseconds that good news stays; problems stay until they are closed. */
const STAY = 4000;

/** Says that something worked or came. */
export function tell(text: string, action?: { readonly label: string; readonly run: () => void }): void {
  const notice = add("good", undefined, text, action);
  setTimeout(() => notice.remove(), action === undefined ? STAY : 2 * STAY);
}

/** Says what went wrong: the code is for the documentation and for bug reports. */
export function complain(what: string, error: unknown): void {
  const { code, message } = understand(error);
  add("bad", code, message === "" ? what : `${what}: ${message}`);
}

/** Something that is wrong, but nothing depends on it. */
export function warn(code: string, text: string): void {
  add("warn", code, text);
}

/** Code and words of whatever was thrown. */
export function understand(error: unknown): { readonly code: string | undefined; readonly message: string } {
  if (error instanceof WeftError) return { code: error.code, message: error.message };
  return { code: undefined, message: error instanceof Error ? error.message : String(error) };
}

function add(
  kind: "good" | "warn" | "bad",
  code: string | undefined,
  text: string,
  action?: { readonly label: string; readonly run: () => void },
): HTMLElement {
  const box = $("notices");
  const same = [...box.children].find((other) => other.getAttribute("data-text") === text);
  same?.remove();
  while (box.children.length >= MOST) box.firstElementChild?.remove();

  const close = h(
    "button",
    { type: "button", class: "notice-close", "aria-label": "Close this notice" },
    "×",
  );
  const notice = h(
    "div",
    { class: `notice ${kind}`, "data-testid": "notice", "data-code": code, "data-text": text },
    h("p", {}, text, code === undefined ? undefined : h("code", {}, code)),
  );
  if (action !== undefined) {
    const button = h("button", { type: "button" }, action.label);
    button.addEventListener("click", () => {
      notice.remove();
      action.run();
    });
    notice.append(button);
  }
  close.addEventListener("click", () => notice.remove());
  notice.append(close);
  box.append(notice);
  return notice;
}
