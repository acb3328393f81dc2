/** Who is who: the last known of every peer, also of those that left, so that what they published keeps its author. */

import type { Party, PeerInfo, Weft } from "weft-mesh";
import { called } from "./words.js";

/** As many departed peers as are remembered. */
const REMEMBERED = 500;

export class Roster {
  /** Oneself is not in here. */
  readonly known = new Map<string, PeerInfo>();
  private readonly watchers = new Set<() => void>();

  constructor(
    private readonly weft: Weft,
    private readonly party: Party,
    private ownName: string,
  ) {
    party.on("peer", () => this.refresh());
    party.on("link", () => this.refresh());
    this.refresh();
  }

  /** Calls back whenever somebody came, changed or went. */
  watch(changed: () => void): void {
    this.watchers.add(changed);
  }

  /** Who is here now, oneself not counted. */
  present(): PeerInfo[] {
    return this.party.peers();
  }

  /** Reads everything again. */
  refresh(): void {
    for (const peer of this.present()) {
      this.known.delete(peer.peer);
      this.known.set(peer.peer, peer);
    }
    for (const oldest of this.known.keys()) {
      if (this.known.size <= REMEMBERED) break;
      this.known.delete(oldest);
    }
    for (const changed of this.watchers) changed();
  }

  get name(): string {
    return this.ownName;
  }

  /** Changes one's own name. Throws what `weft.rename` throws. */
  rename(name: string): void {
    this.weft.rename(name);
    this.ownName = name;
    this.refresh();
  }

  /** What a peer is called. */
  nameOfPeer(peer: string): string {
    if (peer === this.weft.peer) return this.ownName;
    return called(this.known.get(peer)?.name ?? "", peer);
  }

  /** What an identity is called: the name of its peer that came last. */
  nameOfIdentity(identity: string): string {
    let name: string | undefined;
    for (const peer of this.known.values())
      if (peer.identity === identity && peer.name !== "") name = peer.name;
    return name ?? called("", identity);
  }
}
