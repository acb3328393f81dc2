/**
 * Which links were told of. The event stream says what happens while it is there; what happened meanwhile is seen in how the
 * signaler is, and told then.
 */

import type { Change, Sibling } from "./api.js";

export class Told {
  /** Keys, or addresses, of those that are linked; undefined before the first look. */
  private linked: Set<string> | undefined;
  /** Changes that were heard. */
  private heard = 0;

  /** Before a look: what was heard so far. */
  mark(): number {
    return this.heard;
  }

  /** A change that is told as it comes. */
  hear({ type, signaler }: Change): void {
    if (signaler === undefined) return;
    this.heard += 1;
    if (type === "sibling-up") this.linked?.add(signaler.id);
    if (type === "sibling-down") this.linked?.delete(signaler.id);
  }

  /** What a look shows that nobody told. Nothing if something was heard since the mark: the look may be older than that. */
  see(siblings: readonly Sibling[], mark: number): readonly Change[] {
    if (mark !== this.heard) return [];
    const now = new Map(siblings.filter(({ up }) => up).map((one) => [one.id ?? one.url ?? "", one]));
    const before = this.linked;
    this.linked = new Set(now.keys());
    if (before === undefined) return [];
    const change = (type: string, id: string): Change => {
      const url = siblings.find((one) => one.id === id)?.url ?? null;
      return { type, signaler: { id, url } };
    };
    return [
      ...[...before].filter((id) => !now.has(id)).map((id) => change("sibling-down", id)),
      ...[...now.keys()].filter((id) => !before.has(id)).map((id) => change("sibling-up", id)),
    ];
  }
}
