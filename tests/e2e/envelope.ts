/** Envelopes (docs/spec/crypto.md, section 6): HPKE base mode of RFC 9180 with X25519, HKDF-SHA256, ChaCha20-Poly1305. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { isSignedBy, type Key } from "../federation/wire/keys.ts";
import { derive } from "./blake3.ts";

const VERSION = 1;
const TAG = 16;
const KEM_SUITE = Buffer.from("KEM\x00\x20", "latin1");
const HPKE_SUITE = Buffer.from("HPKE\x00\x20\x00\x01\x00\x03", "latin1");
const AEAD = "chacha20-poly1305";

/** An X25519 key pair. */
export class Agreement {
  readonly id: Uint8Array;
  readonly #secret: KeyObject;

  constructor(seed: Uint8Array = randomBytes(32)) {
    const prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
    this.#secret = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
    this.id = createPublicKey(this.#secret).export({ format: "der", type: "spki" }).subarray(-32);
  }

  with(other: Uint8Array): Uint8Array {
    const prefix = Buffer.from("302a300506032b656e032100", "hex");
    const publicKey = createPublicKey({ key: Buffer.concat([prefix, other]), format: "der", type: "spki" });
    return diffieHellman({ privateKey: this.#secret, publicKey });
  }
}

/** To whom an envelope goes. */
export interface Recipient {
  readonly peer: Uint8Array;
  readonly agreement: Uint8Array;
}

/** Seals a body; `as` is who is claimed to have sent it, if not the signer. */
export function seal(signer: Key, to: Recipient, body: Uint8Array, as = signer.id): Uint8Array {
  const ephemeral = new Agreement();
  const signature = signer.sign("weft/v1/envelope", [as, to.peer, to.agreement, ephemeral.id, body]);
  return sealed(to, Buffer.concat([as, signature, body]), ephemeral);
}

/** Seals whatever is to be inside: sender, signature and body, or what only looks so. */
export function sealed(to: Recipient, plain: Uint8Array, ephemeral = new Agreement()): Uint8Array {
  const head = header(to.agreement);
  const { key, nonce } = schedule(ephemeral.with(to.agreement), ephemeral.id, to.agreement);
  const cipher = createCipheriv(AEAD, key, nonce, { authTagLength: TAG });
  cipher.setAAD(head, { plaintextLength: plain.length });
  const text = cipher.update(plain);
  return Buffer.concat([head, ephemeral.id, text, cipher.final(), cipher.getAuthTag()]);
}

/** Opens an envelope and checks who sent it; throws if anything is wrong with it. */
export function unseal(
  peer: Uint8Array,
  own: Agreement,
  envelope: Uint8Array,
): { readonly from: Uint8Array; readonly body: Uint8Array } {
  const plain = opened(own, envelope);
  const encapsulated = envelope.subarray(9, 9 + 32);
  const [from, signature, body] = [plain.subarray(0, 32), plain.subarray(32, 96), plain.subarray(96)];
  if (!isSignedBy(from, "weft/v1/envelope", [from, peer, own.id, encapsulated, body], signature)) {
    throw new Error("a forged sender");
  }
  return { from, body };
}

/** What is inside an envelope, whoever signed it. */
export function opened(own: Agreement, envelope: Uint8Array): Buffer {
  const head = header(own.id);
  if (!head.equals(envelope.subarray(0, head.length))) throw new Error("an envelope for somebody else");
  const encapsulated = envelope.subarray(head.length, head.length + 32);
  const { key, nonce } = schedule(own.with(encapsulated), encapsulated, own.id);
  const decipher = createDecipheriv(AEAD, key, nonce, { authTagLength: TAG });
  const text = envelope.subarray(head.length + 32, -TAG);
  decipher.setAAD(head, { plaintextLength: text.length });
  decipher.setAuthTag(envelope.subarray(-TAG));
  return Buffer.concat([decipher.update(text), decipher.final()]);
}

/** Version and hint: what is not encrypted, but authenticated. */
function header(agreement: Uint8Array): Buffer {
  const hint = derive("weft/v1/envelope-hint", agreement).subarray(0, 8);
  return Buffer.concat([Uint8Array.of(VERSION), hint]);
}

/** Key and nonce (RFC 9180, sections 4.1 and 5.1). */
function schedule(dh: Uint8Array, encapsulated: Uint8Array, recipient: Uint8Array) {
  const context = Buffer.concat([encapsulated, recipient]);
  const prk = extract(KEM_SUITE, "", "eae_prk", dh);
  const shared = expand(KEM_SUITE, prk, "shared_secret", context, 32);
  const hashes = [
    extract(HPKE_SUITE, "", "psk_id_hash", ""),
    extract(HPKE_SUITE, "", "info_hash", "weft/v1/envelope"),
  ];
  const info = Buffer.concat([Uint8Array.of(0), ...hashes]);
  const secret = extract(HPKE_SUITE, shared, "secret", "");
  return {
    key: expand(HPKE_SUITE, secret, "key", info, 32),
    nonce: expand(HPKE_SUITE, secret, "base_nonce", info, 12),
  };
}

function extract(
  suite: Buffer,
  salt: Uint8Array | string,
  label: string,
  input: Uint8Array | string,
): Buffer {
  return createHmac("sha256", salt).update("HPKE-v1").update(suite).update(label).update(input).digest();
}

/** One block of HKDF-Expand is enough for at most 32 bytes. */
function expand(suite: Buffer, prk: Buffer, label: string, info: Uint8Array, length: number): Buffer {
  const labelled = createHmac("sha256", prk).update(Uint8Array.of(0, length)).update("HPKE-v1").update(suite);
  return labelled.update(label).update(info).update(Uint8Array.of(1)).digest().subarray(0, length);
}
