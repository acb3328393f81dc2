/** `Symbol.asyncDispose`, also where the browser does not have it yet (compilers agree on this stand-in). */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as typeof Symbol.asyncDispose);
