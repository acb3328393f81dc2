/** Who is around this signaler, out of what its pages say: other signalers, and whoever else is registered. */

import type { Health, Node, Status } from "./api.js";
import { count, hostOf, key, moment } from "./words.js";

/** `up`: we are linked; `apart`: it lives, but not linked with us; `gone`: it does not answer. */
export type State = "up" | "apart" | "gone" | "active" | "offline";

/** One of them. */
export interface Body {
  readonly name: string;
  readonly kind: "signaler" | "registrant";
  readonly state: State;
  readonly key: string | undefined;
  /** What else is known of it, for people. */
  readonly known: readonly string[];
  readonly services: readonly { readonly name: string; readonly healthy: boolean | undefined }[];
}

/** All of them. Whoever was denied or revoked is not among them: the registry has those. */
export interface Around {
  /** Signalers first; each by its name. */
  readonly bodies: readonly Body[];
  /** Names of those who are not in yet: they wait for a sovereign's decision. */
  readonly waiting: readonly string[];
}

/** In words. */
export const STATES: Record<State, string> = {
  up: "linked",
  apart: "alive, no link",
  gone: "gone",
  active: "active",
  offline: "offline",
};

/** Of several registrations of one key the one that says most about it. */
const RANK: readonly Status[] = ["active", "offline", "pending", "denied", "revoked"];

export function around(health: Health, nodes: ReadonlyMap<string, Node>): Around {
  const byKey = new Map<string, Node>();
  for (const node of nodes.values()) {
    const before = byKey.get(node.public_key);
    if (before === undefined || RANK.indexOf(node.status) < RANK.indexOf(before.status))
      byKey.set(node.public_key, node);
  }
  const bodies: Body[] = [];
  const known = new Set([health.id]);
  for (const { id, url, since, state } of signalers(health)) {
    const node = id === undefined ? undefined : byKey.get(id);
    // Whom the registry keeps out is not missed, though it was a sibling once or is called in vain.
    if (node !== undefined && state !== "up" && !belongs(node)) continue;
    if (id !== undefined) known.add(id);
    const name = node?.id ?? (url === undefined ? key(id ?? "?") : hostOf(url));
    const facts = [
      url === undefined || hostOf(url) === name ? undefined : hostOf(url),
      node === undefined && id !== undefined && key(id) !== name ? key(id) : undefined,
      node === undefined ? "not registered here" : undefined,
      since === undefined || state === "gone" ? undefined : `runs since ${moment(since)}`,
    ];
    bodies.push({
      name,
      kind: "signaler",
      state,
      key: id,
      known: facts.filter((fact) => fact !== undefined),
      services: servicesOf(node),
    });
  }
  const waiting: string[] = [];
  for (const node of nodes.values()) {
    if (known.has(node.public_key)) continue;
    if (node.status === "pending") waiting.push(node.id);
    if (!belongs(node)) continue;
    const kind = node.services.some(({ type }) => type === "signaler") ? "signaler" : "registrant";
    const alive = node.status === "active";
    bodies.push({
      name: node.id,
      kind,
      state: kind === "registrant" ? (alive ? "active" : "offline") : alive ? "apart" : "gone",
      key: node.public_key,
      known: [node.tailscale_hostname],
      services: servicesOf(node),
    });
  }
  bodies.sort(
    (a, b) => Number(a.kind === "registrant") - Number(b.kind === "registrant") || compare(a.name, b.name),
  );
  return { bodies, waiting };
}

/** How many other signalers there are, and how many of them are linked with this one. */
export function links({ bodies }: Around): { readonly linked: number; readonly of: number } {
  const others = bodies.filter(({ kind }) => kind === "signaler");
  return { linked: others.filter(({ state }) => state === "up").length, of: others.length };
}

/** `1 of 2 other signalers linked, 3 other registrants, 1 waits for a decision`. */
export function summary(all: Around): string {
  const { linked, of } = links(all);
  const others = all.bodies.length - of;
  const parts = [
    of === 0 ? "no other signaler" : `${linked} of ${count(of, "other signaler")} linked`,
    others === 0 ? undefined : count(others, "other registrant"),
    all.waiting.length === 0 ? undefined : waits(all.waiting.length),
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

/** `1 waits for a decision`, `50 wait for a decision`. */
export const waits = (amount: number): string => `${queued(amount)} for a decision`;

/** The same where the legend says for what: `1 waits`, `50 wait`. */
export const queued = (amount: number): string => count(amount, "waits", "wait");

/** What a registrant offers, and how it was found. */
export function servicesOf(node: Node | undefined): Body["services"] {
  return (node?.services ?? []).map(({ type, port }) => ({
    name: `${type}:${port}`,
    healthy: node?.health.find((one) => one.type === type && one.port === port)?.healthy,
  }));
}

interface Signaler {
  readonly id?: string;
  readonly url?: string;
  readonly since?: number;
  readonly state: State;
}

/** Siblings and members, each once. */
function signalers({ siblings, members }: Health): readonly Signaler[] {
  const found = new Map<string, Signaler>();
  for (const { id, url, since_ms, active } of members)
    found.set(id, {
      id,
      ...(url === null ? {} : { url }),
      since: since_ms,
      state: active ? "apart" : "gone",
    });
  for (const { id, url, up } of siblings) {
    // Who is called by an address only may be a member whose address that is.
    const member = id ?? members.find((one) => one.url !== null && one.url === url)?.id ?? url ?? "";
    const before = found.get(member);
    found.set(member, {
      ...before,
      ...(id === null ? {} : { id }),
      ...(url === null ? {} : { url }),
      state: up ? "up" : (before?.state ?? "gone"),
    });
  }
  return [...found.values()];
}

const belongs = ({ status }: Node): boolean => status === "active" || status === "offline";

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
