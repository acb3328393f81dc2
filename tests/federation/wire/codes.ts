/** Error codes by number (docs/spec/signaler.md). A close for such a reason has the code 4000 plus the number. */
const NAMES = [
  "bad-frame",
  "too-large",
  "not-authenticated",
  "bad-signature",
  "wrong-party",
  "replayed",
  "expired",
  "unknown-peer",
  "recipient-busy",
  "swarm-full",
  "too-many-swarms",
  "rate-limited",
  "sibling-unreachable",
  "too-many-hops",
  "shutting-down",
  "not-admitted",
  "replaced",
  "timed-out",
  "signaler-full",
  "unsupported-version",
  "not-a-member",
  "mailbox-full",
  "sender-full",
  "no-mailbox",
  "not-stored",
  "too-many-peers",
  "revoked",
] as const;

export type CodeName = (typeof NAMES)[number];

export function codeName(number: number): string {
  return NAMES[number - 1] ?? `code ${number}`;
}

/** The WebSocket close code for a reason. */
export function closeCode(name: CodeName): number {
  return 4001 + NAMES.indexOf(name);
}
