/** How times, rates and addresses look on the page. */

import { number } from "../demo/words.js";

export { bytes, count, key, number } from "../demo/words.js";

/** `12 s`, `3 min`, `5 h`, `2 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${number(Math.round(seconds / 86_400))} d`;
}

/** `14:05:09`, as the reader writes times. */
export const clock = (time: number): string =>
  new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** When something began: the time today, the date before. */
export function moment(time: number, now = Date.now()): string {
  const [then, today] = [new Date(time), new Date(now)];
  return then.toDateString() === today.toDateString()
    ? then.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })
    : then.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** A number that need not be whole: `0.4`, `12`, `1,200`. */
export const rate = (value: number): string =>
  value > 0 && value < 10 ? value.toFixed(1) : number(Math.round(value));

/** What a button says that shows at most so many more of those that are left: `Show 100 more of 1,163`. */
export const more = (left: number, most: number): string =>
  left > most ? `Show ${number(most)} more of ${number(left)}` : `Show ${number(left)} more`;

/** An address without what is the same everywhere. */
export const hostOf = (url: string): string => url.replace(/^(?:wss?|https?):\/\//, "").replace(/\/$/, "");
