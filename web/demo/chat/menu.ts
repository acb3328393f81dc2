/** A small menu beside a button: arrow keys go through it, Escape closes it and gives the focus back. */

import { h } from "../dom.js";

export interface Choice {
  readonly label: string;
  readonly run: () => void;
  readonly testid?: string;
  /** Beside others, as a sign: its name for screen readers is the label. */
  readonly sign?: string;
  readonly danger?: boolean;
}

let open:
  | { readonly menu: HTMLElement; readonly anchor: HTMLElement; readonly end: AbortController }
  | undefined;

/** Opens a menu beside an element, in place of one that is open. */
export function openMenu(anchor: HTMLElement, choices: readonly Choice[]): void {
  const again = open?.anchor === anchor;
  closeMenu();
  if (again) return;
  const signs = h("div", { class: "menu-signs", role: "group", "aria-label": "Reactions" });
  const menu = h("div", { class: "menu", role: "menu", "data-testid": "menu" });
  for (const { label, run, testid, sign, danger } of choices) {
    const item = h(
      "button",
      {
        type: "button",
        role: "menuitem",
        class: danger ? "danger" : undefined,
        "data-testid": testid,
        "aria-label": sign === undefined ? undefined : label,
      },
      sign ?? label,
    );
    item.addEventListener("click", () => {
      closeMenu();
      run();
    });
    (sign === undefined ? menu : signs).append(item);
  }
  if (signs.children.length > 0) menu.prepend(signs);
  document.body.append(menu);
  setPlace(menu, anchor);
  const end = new AbortController();
  const { signal } = end;
  open = { menu, anchor, end };
  anchor.setAttribute("aria-expanded", "true");
  menu.addEventListener("keydown", (event) => move(menu, event), { signal });
  document.addEventListener("pointerdown", ({ target }) => outside(target) && closeMenu(), { signal });
  document.addEventListener("scroll", () => closeMenu(), { signal, capture: true });
  addEventListener("resize", () => closeMenu(), { signal });
  menu.querySelector("button")?.focus({ preventScroll: true });
}

export function closeMenu(): void {
  if (open === undefined) return;
  const { menu, anchor, end } = open;
  open = undefined;
  end.abort();
  const had = menu.contains(document.activeElement);
  menu.remove();
  anchor.setAttribute("aria-expanded", "false");
  if (had && anchor.isConnected) anchor.focus({ preventScroll: true });
}

const outside = (target: EventTarget | null): boolean =>
  target instanceof Node && !open?.menu.contains(target) && !open?.anchor.contains(target);

function move(menu: HTMLElement, event: KeyboardEvent): void {
  const items = [...menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement as HTMLButtonElement);
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") {
    closeMenu();
  } else if (event.key === "Home" || event.key === "End") {
    items.at(event.key === "Home" ? 0 : -1)?.focus();
  } else if (step !== undefined) {
    items.at((at + step) % items.length)?.focus();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

/** Inside the window: below the button, or above it where there is more room. */
function setPlace(menu: HTMLElement, anchor: HTMLElement): void {
  const { left, right, top, bottom } = anchor.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const x = left + width + 8 > innerWidth ? right - width : left;
  const y = bottom + height + 8 > innerHeight ? top - height - 4 : bottom + 4;
  menu.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`;
  menu.style.top = `${Math.max(8, Math.min(y, innerHeight - height - 8))}px`;
}
