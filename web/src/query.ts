import type { Document, Explanation, Filter } from "./types.js";

/**
 * A query on its own: the same matcher as in subscriptions, also under Node.
 *
 * Throws `not-ready` before {@link ready} or `connect` has loaded the wasm, and `bad-query` with the path of what is wrong.
 */
export declare class Query {
  constructor(query: Filter);
  /** Whether a document satisfies every condition. Throws `bad-document` if it is no document. */
  matches(document: object): boolean;
  /** Which conditions a document does not satisfy, for people who wonder why. */
  explain(document: Document): Explanation;
  /** Frees the matcher's memory now rather than when it is collected; it must not be used afterwards. */
  [Symbol.dispose](): void;
}
