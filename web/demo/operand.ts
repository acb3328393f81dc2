/** What a condition asks for, found again in the query by the place that an explanation names. */

/** Longest text that is shown of an operand, in UTF-16 units. */
const SHOWN = 60;

/**
 * The operand of a failed condition, as people write it, such as `8` for `$.$or[0].IMDB Rating.$gte` in a query with
 * `$or: [{ "IMDB Rating": { $gte: 8 } }]`. Undefined if there is none at this place.
 */
export function operandOf(query: object, term: string, field: string): string | undefined {
  let place: unknown = query;
  let rest = term.slice("$".length);
  for (;;) {
    const branch = /^\.(\$and|\$or)\[(\d+)\]/.exec(rest);
    if (branch === null) break;
    const [step, name = "", at = ""] = branch;
    place = member(member(place, name), at);
    rest = rest.slice(step.length);
  }
  const condition = member(place, field);
  const operator = rest.slice(`.${field}.`.length);
  const operand =
    condition instanceof RegExp
      ? condition
      : hasOperators(condition)
        ? member(condition, operator)
        : condition;
  return operand === undefined ? undefined : written(operand);
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as { readonly [name: string]: unknown })[name]
    : undefined;
}

function hasOperators(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && Object.keys(value).some((name) => name.startsWith("$"))
  );
}

function written(value: unknown): string {
  const text = value instanceof RegExp ? String(value) : JSON.stringify(value, expression);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** JSON has neither expressions nor 64-bit integers. */
function expression(_: string, value: unknown): unknown {
  return value instanceof RegExp || typeof value === "bigint" ? String(value) : value;
}
