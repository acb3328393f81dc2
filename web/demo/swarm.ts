/** The right part: the swarm as a picture, as a table, and in figures. */

import type { PeerInfo, Weft } from "weft-mesh";
import { $, h, perFrame, say, show } from "./dom.js";
import { type Dot, Graph, type Line } from "./graph.js";
import type { Roster } from "./roster.js";
import { bytes, called, count, number, short } from "./words.js";

/** Milliseconds between two looks at the figures. */
const LOOK = 500;

export class Swarm {
  private readonly graph: Graph;
  private neighbours: readonly string[] = [];
  private lines: readonly Line[] = [];
  /** What everybody had forwarded at the last look. */
  private before = new Map<string, number>();
  private sent = 0;
  private received = 0;
  private readonly feeds = new Set<string>();

  constructor(
    private readonly weft: Weft,
    private readonly roster: Roster,
    pick: (peer: string) => void,
  ) {
    this.graph = new Graph(pick);
    const drawSoon = perFrame(() => this.draw());
    roster.watch(drawSoon);
    weft.on("signaler", drawSoon);
    setInterval(() => this.look(), LOOK);
    this.draw();
    this.look();
  }

  /** A document of this feed came: that tells from which side, if we have a link there. */
  arrived(feed: string): void {
    this.feeds.add(feed);
  }

  private draw(): void {
    const peers = this.roster.present();
    this.neighbours = peers.filter((peer) => peer.linked).map((peer) => peer.peer);
    this.lines = linesOf(this.weft.peer, peers);
    const forwarded = this.weft.stats().forwarded;
    const own: Dot = {
      id: this.weft.peer,
      name: this.roster.name,
      own: true,
      forwarded,
      title: `You, ${this.roster.name}`,
    };
    this.graph.set([own, ...peers.map(dotOf)], this.lines);
    this.drawTable(peers, forwarded);
    show($("alone"), peers.length === 0);
    if (peers.length === 0) this.explainSolitude();
    say($("swarm-size"), peers.length === 0 ? "only you" : `${count(peers.length + 1, "peer")}`);
    say($("graph-words"), inWords(peers, this.neighbours.length));
  }

  /** Nobody is here, or nobody can be found: two different things to do. */
  private explainSolitude(): void {
    const signalers = this.weft.signalers();
    const connected = signalers.some(({ state }) => state === "connected");
    const lost = !connected && signalers.some(({ state }) => state === "lost");
    say(
      $("alone-heading"),
      connected ? "Nobody else is here yet" : lost ? "No signaler answers" : "Connecting…",
    );
    say(
      $("alone-why"),
      connected
        ? "Open this page in a second tab, or send the link to somebody. Two browsers are a swarm."
        : "A signaler introduces browsers to each other. It is tried again by itself; what you publish waits for the first peer.",
    );
  }

  private drawTable(peers: readonly PeerInfo[], forwarded: number): void {
    const row = (name: string, linked: string, links: number, passed: number, peer: string): HTMLElement =>
      h(
        "tr",
        { "data-peer": peer },
        h("th", { scope: "row" }, name),
        h("td", {}, linked),
        h("td", {}, number(links)),
        h("td", {}, number(passed)),
      );
    $("table").replaceChildren(
      row(`${this.roster.name} (you)`, "", this.neighbours.length, forwarded, this.weft.peer),
      ...peers.map((peer) =>
        row(
          called(peer.name, peer.peer),
          peer.linked ? "linked" : "not linked",
          peer.links.length,
          peer.forwarded,
          peer.peer,
        ),
      ),
    );
  }

  /** Compares the figures with the last ones and lets pulses travel for the difference. */
  private look(): void {
    const stats = this.weft.stats();
    say(
      $("traffic"),
      `You passed on ${short(stats.forwarded)} and received ${short(stats.received)} documents; ` +
        `${bytes(stats.linkBytesOut)} out, ${bytes(stats.linkBytesIn)} in over ${count(stats.connections, "connection")}.`,
    );
    const out = stats.published + stats.forwarded;
    if (out > this.sent)
      for (const peer of this.neighbours) this.graph.pulse(this.weft.peer, peer, out - this.sent);
    if (stats.received > this.received) this.pulseIn(stats.received - this.received);
    [this.sent, this.received] = [out, stats.received];
    this.feeds.clear();

    const now = new Map(this.roster.present().map((peer) => [peer.peer, peer.forwarded]));
    for (const [peer, forwarded] of now) {
      const more = forwarded - (this.before.get(peer) ?? forwarded);
      if (more > 0) this.pulseFrom(peer, more);
    }
    this.before = now;
  }

  private pulseIn(amount: number): void {
    const direct = this.neighbours.filter((peer) => this.feeds.has(peer));
    for (const peer of direct.length > 0 ? direct : this.neighbours)
      this.graph.pulse(peer, this.weft.peer, amount);
  }

  private pulseFrom(peer: string, amount: number): void {
    for (const { from, to } of this.lines) {
      const other = from === peer ? to : to === peer ? from : undefined;
      if (other !== undefined && other !== this.weft.peer) this.graph.pulse(peer, other, amount);
    }
  }
}

const dotOf = (peer: PeerInfo): Dot => ({
  id: peer.peer,
  name: called(peer.name, peer.peer),
  own: false,
  forwarded: peer.forwarded,
  title: `${called(peer.name, peer.peer)}: ${count(peer.links.length, "link")}, ${number(peer.forwarded)} forwarded`,
});

/** Our own links are certain; a link between others is as certain as both of them say it is. */
function linesOf(own: string, peers: readonly PeerInfo[]): Line[] {
  const here = new Map(peers.map((peer) => [peer.peer, peer]));
  const lines: Line[] = [];
  for (const peer of peers) {
    if (peer.linked) lines.push({ from: own, to: peer.peer, sure: true, own: true });
    for (const other of peer.links) {
      const told = here.get(other)?.links.includes(peer.peer) ?? false;
      // Told by both: drawn once, from the lower id.
      if (here.has(other) && (!told || peer.peer < other))
        lines.push({ from: peer.peer, to: other, sure: told, own: false });
    }
  }
  return lines;
}

function inWords(peers: readonly PeerInfo[], linked: number): string {
  if (peers.length === 0) return "You are the only peer in this party.";
  const most = peers.reduce((one, other) => (other.forwarded > one.forwarded ? other : one));
  const busiest =
    most.forwarded > 0
      ? ` ${called(most.name, most.peer)} has forwarded most, ${number(most.forwarded)}.`
      : "";
  return `A graph of ${count(peers.length + 1, "peer")}. You are linked to ${number(linked)} of them.${busiest} The table below has it all.`;
}
