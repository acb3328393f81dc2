import { Matcher } from "./glue.js";
import type { Explanation, Filter } from "./types.js";
import { assertLoaded, call } from "./wasm.js";

/**
 * A query on its own: the same matcher as in subscriptions, also under Node.
 *
 * Throws `not-ready` before `ready` or `connect` has loaded the wasm, and `bad-query` with the path of what is wrong.
 */
export class Query {
  readonly #matcher: Matcher;

  constructor(query: Filter) {
    assertLoaded();
    this.#matcher = call(() => new Matcher(query));
  }

  /** Whether a document satisfies every condition. Throws `bad-document` if it is no document. */
  matches(document: object): boolean {
    return call(() => this.#matcher.matches(document));
  }

  /** Which conditions a document does not satisfy, for people who wonder why. Throws `bad-document`. */
  explain(document: object): Explanation {
    return call(() => this.#matcher.explain(document));
  }

  /** @internal */
  static matcherOf(query: Query): Matcher {
    return query.#matcher;
  }
}
