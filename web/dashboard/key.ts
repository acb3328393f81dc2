/**
 * The sovereign's key of this browser: made here or imported, kept in IndexedDB in a form that gives signatures and nothing
 * else. What is private of it never leaves the page, and once it is kept not even the page can read it.
 */

import { blake3 } from "@noble/hashes/blake3.js";
import { fromHex, type Signer, showKey, toHex } from "./statement.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** Why there is no key here, in words for people. */
export class NoKeys extends Error {}

export class Key implements Signer {
  /** As it is shown, `z6Mk…`. */
  readonly text: string;

  private constructor(
    readonly publicKey: Bytes,
    private readonly secret: CryptoKey,
  ) {
    this.text = showKey(publicKey);
  }

  async sign(bytes: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign(ED25519, this.secret, bytes));
  }

  /** The one that is kept, if there is one. */
  static async kept(): Promise<Key | undefined> {
    const found = (await stored("readonly", (store) => store.get(SLOT))) as Kept | undefined;
    return found === undefined ? undefined : new Key(found.publicKey, found.secret);
  }

  /** Makes one and keeps it. */
  static async make(): Promise<Key> {
    const pair = (await ed25519(() =>
      crypto.subtle.generateKey(ED25519, false, ["sign", "verify"]),
    )) as CryptoKeyPair;
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return await Key.keep(publicKey, pair.privateKey);
  }

  /**
   * Keeps one that was made elsewhere: 64 hexadecimal digits are a seed, as in `identity.seed` of the `weft` command, and give the
   * identity that `weft id` shows; a private key in PEM form (PKCS #8), as from `openssl genpkey -algorithm ed25519`, is taken as it
   * is.
   */
  static async import(text: string): Promise<Key> {
    const document = pkcs8(text.trim());
    // The public half is computed when the private one may be read; what is kept is imported so that it may not.
    const readable = await ed25519(() => crypto.subtle.importKey("pkcs8", document, ED25519, true, ["sign"]));
    const { x } = await crypto.subtle.exportKey("jwk", readable);
    if (x === undefined) throw new Error("This browser does not tell the public half of a key.");
    const secret = await crypto.subtle.importKey("pkcs8", document, ED25519, false, ["sign"]);
    document.fill(0);
    const letters = atob(x.replaceAll("-", "+").replaceAll("_", "/"));
    return await Key.keep(
      Uint8Array.from(letters, (letter) => letter.charCodeAt(0)),
      secret,
    );
  }

  /** Deletes the one that is kept. */
  static async forget(): Promise<void> {
    await stored("readwrite", (store) => store.delete(SLOT));
  }

  private static async keep(publicKey: Bytes, secret: CryptoKey): Promise<Key> {
    const kept: Kept = { publicKey, secret };
    await stored("readwrite", (store) => store.put(kept, SLOT));
    return new Key(publicKey, secret);
  }
}

/** Throws {@link NoKeys} with the reason if keys cannot be used on this page. */
export async function canSign(): Promise<void> {
  if (!isSecureContext || crypto.subtle === undefined)
    throw new NoKeys(
      "Browsers sign only on pages that came over https, or from localhost. Give this signaler a certificate, or use `weft approve`.",
    );
  // A public key of the curve; a browser that does not know the algorithm says so.
  await ed25519(() => crypto.subtle.importKey("raw", new Uint8Array(32), ED25519, false, ["verify"]));
}

interface Kept {
  readonly publicKey: Bytes;
  readonly secret: CryptoKey;
}

const ED25519 = "Ed25519";
const SLOT = "sovereign";
const [DATABASE, STORE] = ["weft-dashboard", "keys"];
/** What is in front of the 32 bytes of a private key in PKCS #8 (RFC 8410, section 7). */
const PREFIX = "302e020100300506032b657004220420";
/** What makes an identity's secret of a seed (docs/spec/crypto.md, section 1). */
const IDENTITY = new TextEncoder().encode("weft/v1/identity-signing");

function pkcs8(text: string): Bytes {
  if (/^[0-9a-f]{64}$/i.test(text)) {
    const seed = fromHex(text);
    const secret = blake3(seed, { context: IDENTITY });
    seed.fill(0);
    return fromHex(PREFIX + toHex(secret));
  }
  const pem = /^-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----$/.exec(text);
  if (pem?.[1] === undefined)
    throw new Error(
      "That is no private key: 64 hexadecimal digits, or a PEM file that begins with BEGIN PRIVATE KEY.",
    );
  return Uint8Array.from(atob(pem[1].replaceAll(/\s/g, "")), (letter) => letter.charCodeAt(0));
}

/** Runs something that needs Ed25519 and tells in words if the browser has none. */
async function ed25519<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError")
      throw new NoKeys(
        "This browser has no Ed25519 signatures. Chrome and Edge have them from 137 on, Firefox from 129, Safari from 17; or use `weft approve`.",
      );
    if (error instanceof DOMException) throw new Error("That is no Ed25519 key.");
    throw error;
  }
}

/** One request to the database of this page. */
async function stored(
  mode: IDBTransactionMode,
  request: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = (await done(opening)) as IDBDatabase;
  try {
    const transaction = database.transaction(STORE, mode);
    const result = await done(request(transaction.objectStore(STORE)));
    // An answer says that it was done, the end of the transaction that it stays done.
    if (mode === "readwrite")
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error ?? new Error("the browser keeps nothing"));
      });
    return result;
  } finally {
    database.close();
  }
}

async function done(request: IDBRequest): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser keeps nothing"));
  });
}
