/**
 * Seeds at rest: sealed by an AES-GCM key of WebCrypto that no script can read out (W3C Web Cryptography API, section 13.4,
 * `extractable`), where there is one.
 *
 * It keeps seeds from who can read the database without being the page: a script of a devtools user, a copy of some records,
 * a backup that takes what structured cloning gives. It does not keep them from the page's own scripts, which may use the
 * key, nor from who copies the whole profile.
 */

/** A seed as it is stored. */
interface Sealed {
  readonly iv: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Under this name the key itself is stored, beside the seeds. */
export const KEY = "wrapping";
/** Bytes of an AES-GCM nonce (NIST SP 800-38D, section 8.2). */
const IV = 12;

export class Wrapping {
  readonly #key: CryptoKey | undefined;

  private constructor(key: CryptoKey | undefined) {
    this.#key = key;
  }

  /** None: what is sealed is stored as it is. */
  static readonly NONE = new Wrapping(undefined);

  /** The key of this profile, made if there is none; without WebCrypto (not a secure context) there is none. */
  static async open(database: IDBDatabase, store: string): Promise<Wrapping> {
    const { subtle } = globalThis.crypto as { subtle?: SubtleCrypto };
    if (subtle === undefined) return Wrapping.NONE;
    const found = await request(database, store, "readonly", (seeds) => seeds.get(KEY));
    if (found instanceof CryptoKey) return new Wrapping(found);
    const made = await subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    // Another tab may have been first: the one that is there counts. Where keys cannot be stored (private windows of some
    // browsers, a full disk) seeds are stored as they are, if they can be.
    await request(database, store, "readwrite", (seeds) => seeds.add(made, KEY)).catch(() => {});
    const kept = await request(database, store, "readonly", (seeds) => seeds.get(KEY));
    return kept instanceof CryptoKey ? new Wrapping(kept) : Wrapping.NONE;
  }

  /** Whether anything is sealed at all. */
  get seals(): boolean {
    return this.#key !== undefined;
  }

  /** What is to be stored for a seed of this name. */
  async seal(name: string, seed: Uint8Array): Promise<Uint8Array | Sealed> {
    if (this.#key === undefined) return seed;
    const iv = crypto.getRandomValues(new Uint8Array(IV));
    const sealed = await crypto.subtle.encrypt(algorithm(iv, name), this.#key, new Uint8Array(seed));
    return { iv, sealed: new Uint8Array(sealed) };
  }

  /** The seed of what was stored under this name. */
  async open(name: string, { iv, sealed }: Sealed): Promise<Uint8Array> {
    const lost = () => new Error("the key that this profile's seeds are sealed with is gone");
    if (this.#key === undefined) throw lost();
    const bytes = new Uint8Array(sealed);
    const opened = crypto.subtle.decrypt(algorithm(new Uint8Array(iv), name), this.#key, bytes);
    return new Uint8Array(
      await opened.catch(() => {
        throw lost();
      }),
    );
  }
}

/** Whether that is something that was sealed. */
export function isSealed(value: unknown): value is Sealed {
  const { iv, sealed } = (value ?? {}) as Partial<Sealed>;
  return iv instanceof Uint8Array && iv.length === IV && sealed instanceof Uint8Array;
}

function algorithm(iv: Uint8Array<ArrayBuffer>, name: string): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(name) };
}

/** One request in a transaction of its own. */
export function request(
  database: IDBDatabase,
  store: string,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => { readonly result: unknown },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(store, mode);
    const asked = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB refuses"));
  });
}
