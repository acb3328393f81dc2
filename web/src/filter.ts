/**
 * Queries as types: what docs/spec/query.md allows, for documents of a known type.
 *
 * Paths are enumerated as text, the conditions behind them only when one is used. What the compiler cannot know, it lets
 * pass and the parser decides: members of type `any` or `unknown`, objects with an index signature, and paths beyond the
 * bounds below, which recursive types would otherwise never reach.
 */

import type { Document } from "./types.js";

/**
 * A query in MongoDB's language (docs/spec/query.md). A RegExp stands for `{ $regex, $options }`.
 *
 * `Filter` alone, like `Filter` of a type with an index signature, takes any names and values, and errors are found when the
 * query is made. With the type of a document, names, dotted paths, operators and operands are checked by the compiler:
 *
 * ```
 * interface Film { title: string; rating: number; year?: number; cast: { name: string }[] }
 *
 * const query: Filter<Film> = {
 *   rating: { $gte: 8 },
 *   "cast.name": /^Nakadai/,
 *   $or: [{ year: null }, { year: { $lt: 1990 } }],
 * };
 * ```
 *
 * `null` goes where a member may be missing or null; numbers and bigints go for each other. Of types that refer to
 * themselves the first few names of a path are checked, the fewer the more there are; what follows is taken as it comes.
 */
export type Filter<Data = Document> = {
  readonly [P in Path<Data> | Logic]?: P extends Logic
    ? readonly Filter<Data>[]
    : EndsByIndex<P> extends true
      ? ElementCondition<At<Data, P>>
      : Condition<At<Data, P>>;
};

/**
 * The operators that fit a member of this type.
 *
 * ```
 * const good: Operators<Film["rating"]> = { $gte: 8 };
 * const query: Filter<Film> = { rating: good };
 * ```
 */
export type Operators<V> = Fitting<V, Seen<V>>;

/**
 * The paths into a document of this type: names with dots between them, through objects and through arrays, whose elements
 * are meant all (`"cast.name"`) or one by its index (`"cast.0.name"`).
 *
 * ```
 * const columns: Path<Film>[] = ["title", "rating", "cast.name"];
 * ```
 */
export type Path<Data> = FromRoot<Data>;

type Logic = "$and" | "$or" | "$nor";

/** What may stand behind a name: a value to be equal to, or operators. */
type Condition<V> = IsOpen<V> extends true ? Unchecked : Operand<V> | Operators<V>;
/** The same behind an index: an element that is an array is not looked into. */
type ElementCondition<V> =
  IsOpen<V> extends true ? Unchecked : Equal<V> | Expression<V> | ElementOperators<V>;
type ElementOperators<V> = Fitting<V, V>;
type Operand<V> = Equal<Seen<V>> | Expression<Seen<V>>;

// biome-ignore lint/suspicious/noExplicitAny: untyped queries go wherever typed ones do, as untyped documents do.
type Unchecked = any;

/** What a condition sees of a member: the value, and if that is an array, each of its elements, too. */
type Seen<V> = V | (V extends readonly (infer E)[] ? E : never);

/** `V`: the type of the member; `S`: what is seen of it. */
type Fitting<V, S> = {
  readonly [O in keyof Operands<V, S> as O extends Fits<V, S> ? O : never]: Operands<V, S>[O];
};

type Fits<V, S> =
  | "$eq"
  | "$ne"
  | "$in"
  | "$nin"
  | "$exists"
  | "$type"
  | "$not"
  | (S extends string | number | bigint | Date | Bytes ? "$gt" | "$gte" | "$lt" | "$lte" : never)
  | (S extends string ? "$regex" | "$options" : never)
  | (S extends number | bigint ? "$mod" : never)
  | (V extends string ? "$contains" : never)
  | (V extends readonly unknown[] ? "$contains" | "$size" | "$elemMatch" | "$all" : never);

interface Operands<V, S> {
  /** Equals. */
  readonly $eq?: Equal<S>;
  /** Does not equal; also holds where the member is missing, unless the operand is null. */
  readonly $ne?: Equal<S>;
  /** Is greater. */
  readonly $gt?: Ordered<S>;
  /** Is greater or equal. */
  readonly $gte?: Ordered<S>;
  /** Is less. */
  readonly $lt?: Ordered<S>;
  /** Is less or equal. */
  readonly $lte?: Ordered<S>;
  /** Equals one of these, or matches one of the expressions. */
  readonly $in?: readonly Item<S>[];
  /** Equals none of these; also holds where the member is missing, unless null is among them. */
  readonly $nin?: readonly Item<S>[];
  /** Is there, or with false is not. */
  readonly $exists?: boolean | 0 | 1;
  /** Has this type, or one of these. */
  readonly $type?: TypeName | readonly TypeName[];
  /** Does not satisfy all of these operators. */
  readonly $not?: Fitting<V, S> | Expression<S>;
  /** Has a match of this expression in it: Perl's syntax without look-around and back-references. */
  readonly $regex?: string | RegExp;
  /** Letters of `imsxu`, beside `$regex`. */
  readonly $options?: string;
  /** Divided by the first leaves the second; the divisor is not 0. */
  readonly $mod?: readonly [divisor: number | bigint, remainder: number | bigint];
  /** Has this text in it; or, for arrays, an element equal to this. */
  readonly $contains?: V extends string ? string : V extends readonly (infer E)[] ? Equal<E> : never;
  /** Is an array of this length. */
  readonly $size?: number | bigint;
  /** Is an array of which one element satisfies all of it: operators, or a query on its members. */
  readonly $elemMatch?: ElementMatch<V>;
  /** Has all of these: one of the values equals, matches or satisfies each. */
  readonly $all?: readonly Item<S>[] | readonly { readonly $elemMatch: ElementMatch<V> }[];
}

/** The operand of `$elemMatch` for a member that is an array. */
type ElementMatch<V> = V extends readonly (infer E)[]
  ? IsOpen<E> extends true
    ? Unchecked
    : ElementOperators<E> | Expression<E> | Members<E>
  : never;
type Members<E> = E extends Scalar ? never : Filter<E>;

/** Values that a value of this type can equal. */
type Equal<S> = S extends null | undefined
  ? null
  : S extends number | bigint
    ? AnyNumber<S>
    : S extends Bytes
      ? Bytes
      : S extends Scalar
        ? S
        : S extends readonly (infer E)[]
          ? readonly Equal<E>[]
          : S;
/** Numbers are compared by value, whichever of the two types they have; literals stay themselves. */
type AnyNumber<S> = number extends S ? number | bigint : bigint extends S ? number | bigint : S;
/** Values that a value of this type can be greater or less than. */
type Ordered<S> = S extends string
  ? string
  : S extends number | bigint
    ? number | bigint
    : S extends Date
      ? Date
      : S extends Bytes
        ? Bytes
        : never;
type Expression<S> = S extends string ? RegExp : never;
/** A member of a list. */
type Item<S> = Equal<S> | Expression<S> | (S extends string ? Regex : never);
type Regex = { readonly $regex: string | RegExp; readonly $options?: string };

/** Section 1 of the specification. */
type TypeName =
  | ("null" | "bool" | "int" | "long" | "double" | "number" | "string" | "binData" | "date")
  | ("array" | "object")
  | (1 | 2 | 3 | 4 | 5 | 8 | 9 | 10 | 16 | 18);

type Bytes = Uint8Array | ArrayBuffer;
type Scalar = null | undefined | boolean | string | number | bigint | Date | Bytes;

/** Of `any` and `unknown` nothing is known. */
type IsOpen<V> = unknown extends V ? true : false;
/** Of these objects, not even the names are. */
type IsUnnamed<V> = [keyof V] extends [never]
  ? true
  : string extends keyof V
    ? true
    : number extends keyof V
      ? true
      : false;

/** Where a path leads. */
type At<V, P extends string> = P extends `${infer N}.${infer Rest}` ? At<Step<V, N>, Rest> : Step<V, P>;

/** Where a name leads from a value; undefined if it may lead to nothing. */
type Step<V, N extends string> = string extends N
  ? unknown
  : unknown extends V
    ? unknown
    : V extends Scalar
      ? undefined
      : V extends readonly (infer E)[]
        ? `${bigint}` extends N
          ? E
          : StepInElements<E, N>
        : IsUnnamed<V> extends true
          ? unknown
          : Member<V, N>;
/** Of the elements of an array, names lead into objects only. */
type StepInElements<E, N extends string> = E extends Scalar | readonly unknown[] ? never : Step<E, N>;
type Member<V, N extends string> = N extends keyof V
  ? V[N]
  : N extends `${infer I extends number}`
    ? I extends keyof V
      ? V[I]
      : undefined
    : undefined;

type EndsByIndex<P> = P extends `${string}.${infer Rest}`
  ? `${bigint}` extends LastName<Rest>
    ? true
    : false
  : false;
type LastName<P> = P extends `${string}.${infer Rest}` ? LastName<Rest> : P;

/** The paths into a document: names of operators lead nowhere, and an array is an object of its indices here. */
type FromRoot<Data> = unknown extends Data
  ? string
  : Data extends readonly (infer E)[]
    ? Through<`${bigint}`, E, Fuel>
    : Exclude<Paths<Data, Fuel>, `$${string}`>;

/**
 * The paths on from a value: `string` if any might lead on, or nothing is left to find out; `${bigint}` for an index.
 */
type Paths<V, Left extends 1[]> = unknown extends V
  ? string
  : V extends Scalar
    ? never
    : V extends readonly Scalar[]
      ? `${bigint}`
      : V extends readonly (infer E)[]
        ? Left extends [1, ...infer Rest extends 1[]]
          ? Through<`${bigint}`, E, Rest> | PathsInElements<E, Rest>
          : string
        : IsUnnamed<V> extends true
          ? string
          : Left extends [...Cost<Branches<V>>, ...infer Rest extends 1[]]
            ? PathsOfMembers<V, keyof V & (string | number), Rest>
            : string;
type PathsInElements<E, Left extends 1[]> = E extends Scalar | readonly unknown[] ? never : Paths<E, Left>;
/** A name with a dot in it leads nowhere, and functions do not travel. */
type PathsOfMembers<V, K extends keyof V & (string | number), Left extends 1[]> = K extends unknown
  ? NonNullable<V[K]> extends Method
    ? never
    : `${K}` extends `${string}.${string}`
      ? never
      : Through<`${K}`, V[K], Left>
  : never;
type Through<N extends string, V, Left extends 1[]> = N | `${N}.${Paths<V, Left>}`;
type Method = (...args: never) => unknown;

/**
 * What a path may spend: one for each doubling of the number of paths. That makes about five hundred paths that lead on,
 * a guess that keeps the compiler quick with types that refer to each other in all directions.
 */
type Fuel = [1, 1, 1, 1, 1, 1, 1, 1, 1];
/** The members that lead on to names. */
type Branches<V> = { [K in keyof V]-?: true extends IsBranch<V[K]> ? K : never }[keyof V];
type IsBranch<V> = unknown extends V
  ? false
  : V extends Scalar | readonly Scalar[] | Method
    ? false
    : V extends readonly unknown[]
      ? true
      : IsUnnamed<V> extends true
        ? false
        : true;
/** The binary logarithm of how many there are, though not more than 4; all, if there are more than 32. */
type Cost<U, Count extends 1[] = []> = [U] extends [never]
  ? Logarithm<Count["length"]>
  : Count["length"] extends 32
    ? Fuel
    : Cost<Exclude<U, One<U>>, [...Count, 1]>;
type Logarithm<N extends number> = N extends 0
  ? []
  : N extends 1 | 2
    ? [1]
    : N extends 3 | 4
      ? [1, 1]
      : N extends 5 | 6 | 7 | 8
        ? [1, 1, 1]
        : [1, 1, 1, 1];
/** One member of a union: of an overloaded function, the compiler infers from the last overload. */
type One<U> = (U extends unknown ? (each: () => U) => void : never) extends (all: infer I) => void
  ? I extends () => infer L
    ? L
    : never
  : never;
