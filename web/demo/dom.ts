/** The few things that the DOM makes longer than they need to be. */

/** The element with this id; the page is written by hand, so a missing one is a mistake in it. */
export function $<E extends Element = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found as unknown as E;
}

type Attributes = { readonly [name: string]: string | number | boolean | undefined };

/** A new HTML element. Text goes in as text, so nothing that others wrote is ever read as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string | undefined)[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** A new SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string | undefined)[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Shows or hides. */
export function show(element: Element, visible: boolean): void {
  element.toggleAttribute("hidden", !visible);
}

/** Sets the text if it is another; saves screen readers and layout from changes that are none. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Runs at most once per frame however often it is asked to; a hidden page has no frames and gets a slow timer. */
export function perFrame(run: () => void): () => void {
  let frame: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const go = (): void => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = undefined;
    run();
  };
  return () => {
    if (frame !== undefined) return;
    frame = requestAnimationFrame(go);
    timer = setTimeout(go, HIDDEN);
  };
}

/** Milliseconds between two drawings of a page that nobody sees. */
const HIDDEN = 500;

/** Puts text on the clipboard; false if the browser does not let us (no secure context, no permission). */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether to leave out whatever moves. */
export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

function fill<E extends Element>(
  element: E,
  attributes: Attributes,
  children: (Node | string | undefined)[],
): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}
