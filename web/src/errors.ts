/** Every code that a {@link WeftError} can have. Codes are stable; messages are for people and may change. */
export type WeftErrorCode =
  | "bad-document"
  | "bad-id"
  | "bad-option"
  | "bad-query"
  | "closed"
  | "events-dropped"
  | "internal"
  | "name-too-long"
  | "no-webrtc"
  | "not-in-party"
  | "not-ready"
  | "queue-full"
  | "request-failed"
  | "store-failed"
  | "timeout"
  | "too-large"
  | "too-many-parties"
  | "too-many-subscriptions"
  | "unknown-request"
  | "unknown-subscription"
  | "unreachable"
  | "unsupported-invitation"
  | "wasm-load";

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
