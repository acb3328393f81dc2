/** Statements to the registry (docs/spec/registry.md), signed apart from the product's code. */
import { randomBytes } from "node:crypto";
import { encode, fields, type Value } from "./cbor.ts";
import { type Key, parse, show } from "./keys.ts";

export interface Service {
  readonly type: string;
  readonly port: number;
  readonly publicKey: string;
}

/** Which federation and signaler a statement is for, and when it was made; as they should be if left out. */
export interface Said {
  network?: string;
  signaler?: Uint8Array;
  time?: number;
  nonce?: Uint8Array;
}

// biome-ignore lint/suspicious/noExplicitAny: bodies and answers of HTTP have no type.
export type Json = any;

interface Common {
  readonly network: string;
  readonly signaler: Uint8Array;
  readonly time: number;
  readonly nonce: Uint8Array;
}

/** Makes the bodies of one signaler's clients. */
export class Statements {
  constructor(
    readonly signaler: Uint8Array,
    readonly network = "weft",
  ) {}

  register(
    key: Key,
    id: string,
    host: string,
    services: readonly Service[],
    said: Said = {},
    after?: string,
  ): Json {
    const common = this.#common(said);
    const { network, signaler, time, nonce } = common;
    const list = services.map((one) => [one.type, one.port, parse(one.publicKey)] satisfies Value[]);
    const body = fields(
      [0, network],
      [1, signaler],
      [2, id],
      [3, key.id],
      [4, host],
      [6, list],
      [7, after === undefined ? undefined : Buffer.from(after, "hex")],
      [8, time],
      [9, nonce],
    );
    const json = { nodeId: id, publicKey: show(key.id), tailscaleHostname: host, services, after };
    return this.#sealed("register", key, body, json, common);
  }

  decide(what: "approve" | "deny" | "reset" | "revoke", key: Key, node: Json, said: Said = {}): Json {
    const common = this.#common(said);
    const { network, signaler, time, nonce } = common;
    const body = fields(
      [0, network],
      [1, signaler],
      [2, node.id],
      [3, parse(node.public_key)],
      [4, Buffer.from(node.head, "hex")],
      [5, key.id],
      [6, time],
      [7, nonce],
    );
    const json = { publicKey: node.public_key, after: node.head, approverPublicKey: show(key.id) };
    return this.#sealed(what, key, body, json, common);
  }

  sovereign(
    what: "add" | "revoke" | "rotate",
    key: Key,
    of: Uint8Array,
    by?: Uint8Array,
    said: Said = {},
  ): Json {
    const common = this.#common(said);
    const { network, signaler, time, nonce } = common;
    const body = fields([0, network], [1, signaler], [2, of], [3, by], [5, key.id], [6, time], [7, nonce]);
    const json = {
      publicKey: show(of),
      newPublicKey: by === undefined ? undefined : show(by),
      approverPublicKey: show(key.id),
    };
    return this.#sealed(`sovereign-${what}`, key, body, json, common);
  }

  heartbeat(key: Key, id: string, said: Said & { ip?: string } = {}): Json {
    const common = this.#common(said);
    const { network, signaler, time, nonce } = common;
    const body = fields(
      [0, network],
      [1, signaler],
      [2, id],
      [3, key.id],
      [4, said.ip],
      [5, time],
      [6, nonce],
    );
    const json = { nodeId: id, publicKey: show(key.id), tailscaleIP: said.ip };
    return this.#sealed("heartbeat", key, body, json, common);
  }

  #common(said: Said): Common {
    return {
      network: said.network ?? this.network,
      signaler: said.signaler ?? this.signaler,
      time: said.time ?? Date.now(),
      nonce: said.nonce ?? randomBytes(32),
    };
  }

  #sealed(purpose: string, key: Key, body: Value, json: object, common: Common): Json {
    const signature = key.sign(`weft/v1/registry-${purpose}`, [encode(body)]);
    return {
      ...json,
      network: common.network,
      signaler: show(common.signaler),
      timestamp: common.time,
      nonce: Buffer.from(common.nonce).toString("hex"),
      signature: Buffer.from(signature).toString("hex"),
    };
  }
}
