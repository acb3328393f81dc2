/** Who is linked to whom: an undirected graph. */
export class Graph {
  readonly #near = new Map<string, Set<string>>();

  constructor(nodes: Iterable<string>) {
    for (const node of nodes) this.#near.set(node, new Set());
  }

  /** Adds a link; one with somebody who is no node is left out. */
  link(one: string, other: string): void {
    const [near, far] = [this.#near.get(one), this.#near.get(other)];
    if (near === undefined || far === undefined || one === other) return;
    near.add(other);
    far.add(one);
  }

  neighbours(node: string): ReadonlySet<string> {
    return this.#near.get(node) ?? new Set();
  }

  /** The sizes of the islands, the largest first; one of all nodes if the graph is connected. */
  islands(): number[] {
    const left = new Set(this.#near.keys());
    const sizes: number[] = [];
    for (const start of this.#near.keys()) {
      if (!left.delete(start)) continue;
      let size = 0;
      for (const found = [start]; found.length > 0; size += 1) {
        for (const next of this.neighbours(found.pop() ?? "")) if (left.delete(next)) found.push(next);
      }
      sizes.push(size);
    }
    return sizes.sort((one, other) => other - one);
  }
}
