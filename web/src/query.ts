import { Matcher } from "./glue.js";
import type { Document, Explanation, Filter } from "./types.js";
import { assertLoaded, call } from "./wasm.js";

/**
 * A query on its own: the same matcher as in subscriptions, also under Node.
 *
 * With `Data`, as in `new Query<Film>({ rating: { $gte: 8 } })`, the compiler checks the query against it.
 *
 * Throws `not-ready` before `ready` or `connect` has loaded the wasm, and `bad-query` with the path of what is wrong.
 */
export class Query<Data extends object = Document> {
  readonly #matcher: Matcher;

  constructor(query: Filter<Data>) {
    assertLoaded();
    this.#matcher = call(() => new Matcher(query));
  }

  /** Whether a document satisfies every condition. Throws `bad-document` if it is no document. */
  matches(document: Data | object): boolean {
    return call(() => this.#matcher.matches(document));
  }

  /** Which conditions a document does not satisfy, for people who wonder why. Throws `bad-document`. */
  explain(document: Data | object): Explanation {
    return call(() => this.#matcher.explain(document));
  }

  /** Never there: it tells the compiler that a query for films is none for books. */
  protected about?(document: Data): void;

  /** @internal */
  static matcherOf<Data extends object>(query: Query<Data>): Matcher {
    return query.#matcher;
  }
}
