/** Who is around this signaler, out of what its pages say: other signalers, and whoever else is registered. */

import type { Health, Node } from "./api.js";
import { hostOf, key } from "./words.js";

/** `up`: we are linked; `apart`: it lives, but not linked with us; `gone`: it does not answer. */
export type State = "up" | "apart" | "gone" | "pending" | "active" | "offline";

/** One of them. */
export interface Body {
  readonly name: string;
  readonly kind: "signaler" | "registrant";
  readonly state: State;
  readonly url: string | undefined;
  readonly key: string | undefined;
  readonly services: readonly { readonly name: string; readonly healthy: boolean | undefined }[];
}

/** In words. */
export const STATES: Record<State, string> = {
  up: "linked",
  apart: "alive, no link",
  gone: "gone",
  pending: "pending",
  active: "active",
  offline: "offline",
};

/** Signalers first; each by its name. */
export function around(health: Health, nodes: ReadonlyMap<string, Node>): Body[] {
  const byKey = new Map([...nodes.values()].map((node) => [node.public_key, node]));
  const bodies = signalers(health).map(({ id, url, state }): Body => {
    const node = id === undefined ? undefined : byKey.get(id);
    const name = node?.id ?? (url === undefined ? key(id ?? "?") : hostOf(url));
    return { name, kind: "signaler", state, url, key: id, services: servicesOf(node) };
  });
  const known = new Set([health.id, ...bodies.map((body) => body.key)]);
  for (const node of nodes.values()) {
    const { status } = node;
    if (known.has(node.public_key) || status === "denied" || status === "revoked") continue;
    const url = node.tailscale_hostname;
    const services = servicesOf(node);
    bodies.push({ name: node.id, kind: "registrant", state: status, url, key: node.public_key, services });
  }
  return bodies.sort(
    (a, b) => Number(a.kind === "registrant") - Number(b.kind === "registrant") || compare(a.name, b.name),
  );
}

/** Siblings and members, each once. */
function signalers({ siblings, members }: Health): { id?: string; url?: string; state: State }[] {
  const found = new Map<string, { id?: string; url?: string; state: State }>();
  for (const { id, url, active } of members)
    found.set(id, { id, ...(url === null ? {} : { url }), state: active ? "apart" : "gone" });
  for (const { id, url, up } of siblings) {
    const before = found.get(id ?? url ?? "");
    found.set(id ?? url ?? "", {
      ...before,
      ...(id === null ? {} : { id }),
      ...(url === null ? {} : { url }),
      state: up ? "up" : (before?.state ?? "gone"),
    });
  }
  return [...found.values()];
}

/** What a registrant offers, and how it was found. */
export function servicesOf(node: Node | undefined): Body["services"] {
  return (node?.services ?? []).map(({ type, port }) => ({
    name: `${type}:${port}`,
    healthy: node?.health.find((one) => one.type === type && one.port === port)?.healthy,
  }));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
