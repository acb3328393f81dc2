/**
 * Which links were told of. The event stream says what happens while it is there; what happened meanwhile is seen in how the
 * signaler is, and told then.
 */

import type { Change, Sibling } from "./api.js";

export class Told {
  /** Keys, or addresses, of those that are linked; undefined before the first look. */
  private linked: Set<string> | undefined;
  /** Those that the stream told to be linked since it was away last. */
  private fresh = new Set<string>();
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
    for (const known of [this.linked, this.fresh]) {
      if (type === "sibling-up") known?.add(signaler.id);
      if (type === "sibling-down") known?.delete(signaler.id);
    }
  }

  /** The stream is away. */
  pause(): void {
    this.fresh = new Set();
  }

  /** The signaler was started again, and lost all links with that: those it has now are news. */
  restart(): void {
    if (this.linked !== undefined) this.linked = new Set(this.fresh);
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
