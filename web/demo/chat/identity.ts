/** Identities as text: `z` and base58btc of `ed01` and the key (docs/spec/wire.md, section 1). */

import { base58 } from "@scure/base";

/** Bytes of multicodec's `ed25519-pub`. */
const PREFIX = [0xed, 0x01];
/** The longest text that 34 bytes can be. */
const LONGEST = 48;

/** The 32 bytes of an identity's text; undefined if it is none. */
export function keyOf(identity: string): Uint8Array | undefined {
  if (identity.length > LONGEST || !identity.startsWith("z")) return undefined;
  try {
    const bytes = base58.decode(identity.slice(1));
    return bytes.length === 34 && PREFIX.every((byte, at) => bytes[at] === byte) ? bytes.slice(2) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether that is an identity's text. */
export const isIdentity = (value: unknown): value is string =>
  typeof value === "string" && keyOf(value) !== undefined;

/** The text of a key: the other way round. */
export const identityOf = (key: Uint8Array): string =>
  `z${base58.encode(new Uint8Array([...PREFIX, ...key]))}`;

/** The key of the party that an invitation is into (docs/spec/crypto.md, section 9). Throws what to say to people. */
export function partyOf(invitation: string): string {
  const bytes = opened(invitation);
  if (bytes === undefined) throw new Error("That is no invitation.");
  return identityOf(bytes.slice(1, 33));
}

/** Whether that is an invitation, as it was given or at the end of a link. Links to people begin alike. */
export const isInvitation = (text: string): boolean => opened(text) !== undefined;

function opened(invitation: string): Uint8Array | undefined {
  const text = /weft:z([1-9A-HJ-NP-Za-km-z]{1,96})$/.exec(invitation.trim())?.[1] ?? "";
  const bytes = base58.decode(text);
  return bytes.length === INVITATION && bytes[0] === 1 ? bytes : undefined;
}

/** Version, the party's key, a secret, a checksum. */
const INVITATION = 1 + 32 + 16 + 4;
