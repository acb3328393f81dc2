/** Notifications while the page is hidden, and the number of unread messages where the browser shows one. */

import { shown } from "./documents.js";
import type { Line, Person } from "./model.js";

/** Whether the browser can, and may, show notifications. */
export const mayNotify = (): boolean => "Notification" in globalThis && Notification.permission === "granted";

/** Asks whether it may; only ever from a button. */
export async function askToNotify(): Promise<boolean> {
  if (!("Notification" in globalThis)) return false;
  const granted = (await Notification.requestPermission()) === "granted";
  // Who wants to be told wants to keep what was said: the browser should not clear it when it needs room.
  if (granted) void navigator.storage?.persist?.();
  return granted;
}

/** Shows what came, one notification for each person. */
export async function notify(person: Person, name: string, line: Line | undefined): Promise<void> {
  if (!mayNotify() || document.visibilityState === "visible") return;
  const body = line ? shown(line.text) || "An attachment" : "would like to write to you";
  const options = { body: body.slice(0, 200), tag: person.identity, icon: "icon-192.png" };
  const registration = await navigator.serviceWorker?.getRegistration();
  if (registration?.active) await registration.showNotification(name, options);
  else new Notification(name, options);
}

/** Says how much is unread, in the title and at the icon of an installed app. */
export function showUnread(unread: number, name: string | undefined): void {
  const title = name === undefined ? "Weft Chat" : `${name} · Weft Chat`;
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
  const badge = navigator as {
    setAppBadge?: (count: number) => Promise<void>;
    clearAppBadge?: () => Promise<void>;
  };
  void (unread > 0 ? badge.setAppBadge?.(unread) : badge.clearAppBadge?.())?.catch(() => {});
}
