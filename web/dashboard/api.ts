/** What the signaler answers (docs/spec/signaler.md section 7, docs/spec/registry.md section 2). */

/** `GET /healthz`. Counters grow from the start of the process on. */
export interface Health {
  readonly status: string;
  /** Changes of the registry that count and that a restart would forget: the disk does not take them. */
  readonly unstored: number;
  readonly version: string;
  readonly id: string;
  readonly uptime_s: number;
  readonly now_ms: number;
  readonly connections: number;
  readonly peers: number;
  readonly swarms: number;
  readonly entries: number;
  /** Swarms of 1 member, of 2 and 3, of 4 to 7, and so on. */
  readonly swarm_sizes: readonly number[];
  readonly delivered: number;
  readonly fanned: number;
  readonly received_frames: number;
  readonly received_bytes: number;
  readonly sent_frames: number;
  readonly sent_bytes: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly siblings: readonly Sibling[];
  readonly members: readonly Member[];
}

export interface Sibling {
  readonly id: string | null;
  readonly url: string | null;
  readonly up: boolean;
}

export interface Member {
  readonly id: string;
  readonly url: string | null;
  readonly since_ms: number;
  readonly active: boolean;
}

/** `GET /topology`, as far as it is used here: links that one of their ends says at least, each once. */
export interface Links {
  readonly links: readonly {
    readonly between: readonly [string, string];
    readonly said_by: readonly string[];
  }[];
  /** There are more of them. */
  readonly more_links: boolean;
  /** Who says with whom it is linked. */
  readonly links_told_by: readonly string[];
}

/** `GET /info`, as far as it is used here. */
export interface Info {
  readonly id: string;
  readonly url: string | null;
  readonly registry: {
    readonly network: string;
    readonly sovereigns: readonly string[];
    readonly sovereigns_changed_at: number;
  };
}

export type Status = "pending" | "active" | "offline" | "denied" | "revoked";

/** A registrant. */
export interface Node {
  readonly id: string;
  readonly public_key: string;
  readonly tailscale_hostname: string;
  readonly tailscale_ip: string | null;
  readonly status: Status;
  readonly lapsed: boolean;
  readonly services: readonly Service[];
  readonly health: readonly {
    readonly type: string;
    readonly port: number;
    readonly healthy: boolean;
    readonly checked_at: number;
  }[];
  readonly registered_at: number;
  readonly decided_at: number | null;
  readonly last_heartbeat: number | null;
  readonly head: string;
}

export interface Service {
  readonly type: string;
  readonly port: number;
  readonly publicKey: string;
}

/** `GET /nodes/ID`. */
export interface NodeWithRegistration extends Node {
  readonly registration: { readonly body: string; readonly signature: string };
}

/** One message of `/events`. */
export interface Change {
  readonly type: string;
  readonly at?: number;
  readonly node?: Node;
  /** Of `sibling-up` and the like: which signaler. */
  readonly signaler?: { readonly id: string; readonly url: string | null };
}

/** What the signaler said instead of doing what it was asked. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Milliseconds that an answer may take. */
const PATIENCE = 5_000;
/** Registrants in one answer, and all that a page takes in. */
const [PAGE, MOST] = [500, 10_000];

/** Relative to where this page is: a proxy may have put it below a path. */
export async function get<T>(path: string): Promise<T> {
  return await answered<T>(fetch(path, { signal: AbortSignal.timeout(PATIENCE) }));
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  const signal = AbortSignal.timeout(2 * PATIENCE);
  return await answered<T>(fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

/** Every registrant, by id. */
export async function nodes(): Promise<Map<string, Node>> {
  const found = new Map<string, Node>();
  for (let after = ""; found.size < MOST; ) {
    const page = await get<{ nodes: Node[]; next: string | null }>(`nodes?limit=${PAGE}${after}`);
    for (const node of page.nodes) found.set(node.id, node);
    if (page.next === null) break;
    after = `&after=${encodeURIComponent(page.next)}`;
  }
  return found;
}

async function answered<T>(asking: Promise<Response>): Promise<T> {
  const response = await asking.catch(() => {
    throw new Refused("out-of-reach", "the signaler does not answer");
  });
  const answer = (await response.json().catch(() => ({}))) as { error?: { code?: string; message?: string } };
  if (response.ok) return answer as T;
  const { code, message } = answer.error ?? {};
  throw new Refused(code ?? String(response.status), message ?? "the signaler does not say why");
}
