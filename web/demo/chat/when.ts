/** Times as people say them. */

import { clock } from "../words.js";

const DAY = 86_400_000;

/** The start of a time's day, where the reader is. */
export const dayOf = (time: number): number => new Date(time).setHours(0, 0, 0, 0);

/** `Today`, `Yesterday`, `Monday`, `3 May 2026`. */
export function dayLine(time: number, now: number): string {
  const days = Math.round((dayOf(now) - dayOf(time)) / DAY);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  const date = new Date(time);
  if (days > 1 && days < 7) return date.toLocaleDateString(undefined, { weekday: "long" });
  return date.toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
}

/** The time of a conversation in the list: the clock today, then days. */
export function briefly(time: number, now: number): string {
  const days = Math.round((dayOf(now) - dayOf(time)) / DAY);
  if (days <= 0) return clock(time);
  const date = new Date(time);
  if (days < 7) return date.toLocaleDateString(undefined, { weekday: "short" });
  return date.toLocaleDateString(undefined, { day: "numeric", month: "short" });
}
