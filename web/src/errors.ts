/** Every code that a {@link WeftError} can have. Codes are stable; messages are for people and may change. */
export type WeftErrorCode =
  | "another-identity"
  | "bad-code"
  | "bad-document"
  | "bad-export"
  | "bad-id"
  | "bad-invitation"
  | "bad-option"
  | "bad-query"
  | "closed"
  | "events-dropped"
  | "expired"
  | "in-use"
  | "internal"
  | "invitation-expired"
  | "invitation-unknown"
  | "invitation-used"
  | "mailbox-full"
  | "name-too-long"
  | "no-webrtc"
  | "not-a-member"
  | "not-a-writer"
  | "not-an-admin"
  | "not-in-party"
  | "not-possible"
  | "not-private"
  | "not-ready"
  | "outbox-full"
  | "queue-full"
  | "removed"
  | "request-failed"
  | "revoked"
  | "sender-full"
  | "store-failed"
  | "timeout"
  | "too-large"
  | "too-many-parties"
  | "too-many-peers"
  | "too-many-subscriptions"
  | "unknown-request"
  | "unknown-subscription"
  | "unreachable"
  | "wasm-load"
  | "wrong-passphrase";

/** The one kind of error of this package. docs/guides/web.md lists the codes and what to do about each. */
export class WeftError extends Error {
  override readonly name = "WeftError";
  /** Stable, for programs. */
  readonly code: WeftErrorCode;
  /** Where, for `bad-query` and `bad-document`: `$` is the whole, then `.name` and `[index]`. */
  readonly path: string | undefined;
  /** What to write instead, if known. */
  readonly hint: string | undefined;

  constructor(
    code: WeftErrorCode,
    message: string,
    details: { readonly path?: string; readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.hint = details.hint;
  }
}
