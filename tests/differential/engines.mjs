/** The three implementations, each as a function of query and document: true, false, or the text of what was thrown. */

import { Query as MingoQuery } from "mingo";
import sift from "sift";
import { Query, ready } from "weft-mesh";

await ready();

export function weft(query, document) {
  return new Query(query).matches(document);
}

/** The libraries that Weft is compared with. */
export const LIBRARIES = {
  mingo: caught((query, document) => new MingoQuery(query).test(document)),
  sift: caught((query, document) => sift(query)(document)),
};

function caught(matches) {
  return (query, document) => {
    try {
      return matches(query, document);
    } catch (error) {
      return `throws ${error.message}`;
    }
  };
}
