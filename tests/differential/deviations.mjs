/**
 * Where mingo and sift are known to answer otherwise than MongoDB, and therefore than Weft.
 *
 * A rule looks at the smallest part of a pair that still differs (explain.mjs): mostly one operator with one operand behind
 * one path. Its fields:
 *
 * - `name`, as in docs/spec/query-deviations.md, which shows the example and explains it to users
 * - `library`: what the library does and why that differs; `mongodb`: what MongoDB does, as Weft does
 * - `example`: [query, document, Weft's answer, the library's answer]; a text is what the library throws
 * - `share`: the largest part of all pairs that the rule may excuse
 * - `applies(place, theirs)`: whether it may account for the library's answer `theirs` at this place
 */

import {
  byIndex,
  byName,
  candidates,
  holds,
  isAstral,
  isBeyondAscii,
  isBigInt,
  isBytes,
  isDate,
  isNearTheEnd,
  isNested,
  isNotANumber,
  isNumber,
  isText,
  met,
  ORDER,
} from "./places.mjs";
import { isObject } from "./values.mjs";

const isArray = Array.isArray;
const throwsAs = (theirs, text) => typeof theirs === "string" && theirs.startsWith(`throws ${text}`);
/** Whether this is an operator of these names. */
const of = ({ operator }, ...names) => names.includes(operator);
/** Whether values of this sort meet: the operand is or holds one, and so does a value at the path. */
const meet = ({ operand, values }, test) => holds(operand, test) && holds(values, test);

/** Whether the rest of a path leads to nothing from the element that its index named. */
const leadsNowhere = (item, rest) =>
  item === undefined || (rest.length > 0 && !isObject(item) && !isArray(item));

/** What both libraries have from JavaScript. */
const BOTH = [
  {
    name: "regex-code-units",
    library: "`.` is a UTF-16 code unit unless the option `u` is given.",
    mongodb: "PCRE runs in UTF-8 mode, where `.` is a character.",
    example: [{ a: { $regex: "^.$" } }, { a: "😀" }, true, false],
    share: 0.0005,
    applies: (place) =>
      of(place, "$regex") &&
      place.operand.includes(".") &&
      !(place.options ?? "").includes("u") &&
      candidates(place).some(isAstral),
  },
  {
    name: "regex-ignoring-case",
    library: "`i` folds every letter of Unicode.",
    mongodb:
      "MongoDB folds every letter, too. Here Weft is the one that differs, as section 6 says: only ASCII, so that the tables of " +
      "Unicode need not travel to browsers.",
    example: [{ a: { $regex: "é", $options: "i" } }, { a: "É" }, false, true],
    share: 0.0005,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$regex") &&
      (place.options ?? "").includes("i") &&
      isBeyondAscii(place.operand) &&
      candidates(place).some(isBeyondAscii),
  },
  {
    name: "strings-by-code-unit",
    library: "Strings compare by UTF-16 code units: what lies beyond U+FFFF comes before U+E000.",
    mongodb: "Strings compare by their bytes in UTF-8, which is by code point.",
    example: [{ a: { $gt: "\uff5e" } }, { a: "😀" }, true, false],
    share: 0.001,
    applies: (place, theirs) =>
      typeof theirs === "boolean" &&
      of(place, ...ORDER) &&
      holds([place.operand, ...place.values], isAstral) &&
      holds([place.operand, ...place.values], isNearTheEnd),
  },
  {
    name: "mod-of-no-number",
    library: "What is no number is made one: null, false, an empty string and an empty array are 0.",
    mongodb: "`$mod` selects numbers only.",
    example: [{ a: { $mod: [5, 0] } }, { a: null }, false, true],
    share: 0.01,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$mod") &&
      candidates(place).some((value) => value !== undefined && !isNumber(value)),
  },
  {
    name: "mod-with-fraction",
    library: "The remainder keeps the fraction: 1.5 % 1 is 0.5.",
    mongodb: "The number is cut to a whole one before it is divided.",
    example: [{ a: { $mod: [1, 0] } }, { a: 1.5 }, true, false],
    share: 0.001,
    applies: (place, theirs) =>
      theirs === false &&
      of(place, "$mod") &&
      candidates(place).some((value) => isNumber(value) && !isBigInt(value) && value % 1 !== 0),
  },
  {
    name: "mod-of-bigint",
    library: "A bigint and a number in one calculation are an error.",
    mongodb: "A 64-bit integer is divided like any other number.",
    example: [
      { a: { $mod: [5, 0] } },
      { a: 5n },
      true,
      "throws Cannot mix BigInt and other types, use explicit conversions",
    ],
    share: 0.005,
    applies: (place, theirs) =>
      throwsAs(theirs, "Cannot mix BigInt") && of(place, "$mod") && holds(place.values, isBigInt),
  },
  {
    name: "option-x",
    library: "JavaScript's expressions have no `x`, so the query is refused.",
    mongodb: "With `x`, white space and comments in the expression are ignored.",
    example: [
      { a: { $regex: "a # the first letter", $options: "x" } },
      { a: "a" },
      true,
      "throws Invalid flags supplied to RegExp constructor 'x'",
    ],
    share: 0.015,
    applies: ({ query }, theirs) =>
      throwsAs(theirs, "Invalid flags") &&
      holds(query, (value) => isObject(value) && isText(value.$options) && value.$options.includes("x")),
  },
];

const MINGO = [
  {
    name: "bigint-in-query",
    library: "Every query is written as JSON for an error that is not thrown, and JSON has no bigint.",
    mongodb: "64-bit integers are values like any other.",
    example: [{ a: 5n }, { a: 5 }, true, "throws Do not know how to serialize a BigInt"],
    share: 0.08,
    applies: ({ query }, theirs) =>
      throwsAs(theirs, "Do not know how to serialize a BigInt") && holds(query, isBigInt),
  },
  {
    name: "bigint-in-document",
    library:
      "A bigint is a type of its own, neither a number nor an integer, and never equals or compares with a number.",
    mongodb: "All numbers compare by value, whatever their type.",
    example: [{ a: { $gt: 4 } }, { a: 5n }, true, false],
    share: 0.002,
    applies: (place, theirs) =>
      theirs === false && of(place, "$eq", ...ORDER, "$type") && holds(place.values, isBigInt),
  },
  {
    name: "order-with-nan",
    library: "`$gte` and `$lte` hold between NaN and every number, since neither is less than the other.",
    mongodb: "NaN equals NaN and is neither less nor greater than anything.",
    example: [{ a: { $gte: 0 } }, { a: Number.NaN }, false, true],
    share: 0.001,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$gte", "$lte") &&
      [place.operand, ...candidates(place)].some(isNotANumber) &&
      [place.operand, ...candidates(place)].some((value) => isNumber(value) && !isNotANumber(value)),
  },
  {
    name: "order-null-and-missing",
    library: "A missing field is of another type than null.",
    mongodb:
      "`$gte: null` and `$lte: null` hold where `$eq: null` does, and that is also where the field is missing.",
    example: [{ a: { $gte: null } }, {}, true, false],
    share: 0.01,
    applies: (place, theirs) =>
      theirs === false &&
      of(place, "$gte", "$lte") &&
      place.operand === null &&
      place.values.includes(undefined),
  },
  {
    name: "order-of-arrays",
    library:
      "An array at the path is never compared as a whole, only its elements; and arrays among those are sorted first.",
    mongodb: "An array is compared with an array element by element, in the order that they have.",
    example: [{ a: { $gt: [1] } }, { a: [2] }, true, false],
    share: 0.01,
    applies: (place) => of(place, ...ORDER) && isArray(place.operand) && place.values.some(isArray),
  },
  {
    name: "order-of-bytes",
    library: "Bytes compare like words in a dictionary.",
    mongodb: "Bytes compare by length first.",
    example: [{ a: { $gt: Uint8Array.of(1) } }, { a: Uint8Array.of(0, 0) }, true, false],
    share: 0.0005,
    applies: (place) => of(place, ...ORDER) && meet(place, isBytes),
  },
  {
    name: "order-of-objects",
    library: "Objects compare by their sorted names first and then by their values.",
    mongodb: "Objects compare member by member: by type, then name, then value.",
    example: [{ a: { $gt: { x: 1 } } }, { a: { a: "y" } }, true, false],
    share: 0.001,
    applies: (place) => of(place, ...ORDER) && meet(place, isObject),
  },
  {
    name: "in-of-whole-arrays",
    library: "An array at the path is never compared as a whole, only its elements.",
    mongodb: "Each item of `$in` is as in `$eq`, which an array as a whole may equal.",
    example: [{ a: { $in: [[1]] } }, { a: [1] }, true, false],
    share: 0.005,
    applies: (place, theirs) =>
      theirs === false && of(place, "$in") && place.operand.some(isArray) && place.values.some(isArray),
  },
  {
    name: "all-of-no-array",
    library: "`$all` holds for arrays only, and not for an empty one.",
    mongodb:
      "`$all` is as `$eq` for each of its items: a single value can equal them, and null also a missing one.",
    example: [{ a: { $all: [1] } }, { a: 1 }, true, false],
    share: 0.01,
    applies: (place, theirs) =>
      theirs === false && of(place, "$all") && place.values.some((value) => !isArray(value)),
  },
  {
    name: "all-of-whole-arrays",
    library: "An array at the path is never compared as a whole, only its elements.",
    mongodb: "Each item of `$all` is as in `$eq`, which an array as a whole may equal.",
    example: [{ a: { $all: [[1]] } }, { a: [1] }, true, false],
    share: 0.001,
    applies: (place, theirs) =>
      theirs === false && of(place, "$all") && place.operand.some(isArray) && place.values.some(isArray),
  },
  {
    name: "type-of-elements",
    library: "`$type` looks at the array only.",
    mongodb: "`$type` holds if an element of the array has the type, too.",
    example: [{ a: { $type: "string" } }, { a: ["x"] }, true, false],
    share: 0.005,
    applies: (place, theirs) =>
      theirs === false && of(place, "$type") && byName(place).length === 0 && place.values.some(isArray),
  },
  {
    name: "type-of-bytes",
    library: "There is no binData.",
    mongodb: "Bytes are binData, number 5.",
    example: [{ a: { $type: "binData" } }, { a: Uint8Array.of(1) }, true, false],
    share: 0.002,
    applies: (place, theirs) =>
      theirs === false &&
      of(place, "$type") &&
      [5, "binData"].includes(place.operand) &&
      candidates(place).some(isBytes),
  },
  {
    name: "type-of-whole-numbers",
    library: "Every number but NaN is a double, and every whole one also an int.",
    mongodb:
      "A number is an int, a long or a double. In which of them a driver writes a number of JavaScript is its own affair: Weft has " +
      "int for whole numbers up to 2^53 - 1 in size other than -0.",
    example: [{ a: { $type: "double" } }, { a: 4 }, false, true],
    share: 0.002,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$type") &&
      [1, 16, 18, "double", "int", "long"].includes(place.operand) &&
      place.values.some((value) => Number.isInteger(value)),
  },
  {
    name: "type-of-nan",
    library: "NaN is no number.",
    mongodb: "NaN is a double.",
    example: [{ a: { $type: "number" } }, { a: Number.NaN }, true, false],
    share: 0.001,
    applies: (place, theirs) =>
      theirs === false &&
      of(place, "$type") &&
      [1, "double", "number"].includes(place.operand) &&
      place.values.some(isNotANumber),
  },
  {
    name: "regex-in-nested-arrays",
    library: "Expressions also search texts of an array in the array.",
    mongodb: "An array in an array is not looked into.",
    example: [{ a: { $regex: "x" } }, { a: [["x"]] }, false, true],
    share: 0.001,
    applies: (place, theirs) => theirs === true && of(place, "$regex") && place.values.some(isNested),
  },
  {
    name: "equal-in-nested-arrays",
    library: "`$eq` looks into arrays in the array, as deeply as the path has dots.",
    mongodb: "An array in an array is not looked into.",
    example: [{ "a.b": 1 }, { a: { b: [[1]] } }, false, true],
    share: 0.005,
    applies: (place, theirs) =>
      theirs === true && of(place, "$eq") && place.path.includes(".") && place.values.some(isNested),
  },
  {
    name: "element-that-is-no-object",
    library: "In the query of `$elemMatch`, an element that is a scalar stands for all its fields.",
    mongodb: "A query sees only elements that are objects or arrays.",
    example: [{ a: { $elemMatch: { b: null } } }, { a: [null] }, false, true],
    share: 0.002,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$elemMatch", "$all") &&
      place.values.filter(isArray).some((array) => array.some((item) => !isObject(item) && !isArray(item))),
  },
  {
    name: "element-that-is-an-array",
    library:
      "For `$elemMatch`, an array in the array is looked into like a field's value, is no object of its indices, and does not " +
      "satisfy the empty query.",
    mongodb: "Operators see the element as it is; a query sees an array as an object of its indices.",
    example: [{ a: { $elemMatch: { $gt: 4 } } }, { a: [[5]] }, false, true],
    share: 0.0005,
    applies: (place) => of(place, "$elemMatch", "$all") && place.values.some(isNested),
  },
  {
    name: "index-looked-into",
    library:
      "An element that the path names by its index is looked into, and only its elements compare in order.",
    mongodb: "An element that the last name gave by index is taken as a whole.",
    example: [{ "a.0": 1 }, { a: [[1]] }, false, true],
    share: 0.01,
    applies: ({ places = [] }) => places.some(({ value, byIndex }) => byIndex && isArray(value)),
  },
  {
    name: "index-is-no-name",
    library: "A number in a path is the index only.",
    mongodb:
      "A number is also the name of a member of those elements that are objects, and missing in the others of them.",
    example: [{ "a.0": 1 }, { a: [{ 0: 1 }] }, true, false],
    share: 0.01,
    applies: (place) => byIndex(place).some(({ value }) => value.some(isObject)),
  },
  {
    name: "index-to-nothing",
    library:
      "An index beyond the end, or one more step from a scalar there, leads to missing, which equals null.",
    mongodb: "Such a path leads to nothing, and nothing equals nothing.",
    example: [{ "a.0": null }, { a: [] }, false, true],
    share: 0.005,
    applies: (place) =>
      byIndex(place).some(({ value, step, rest }) => leadsNowhere(value[step], rest)) &&
      holds(place.operand, (value) => value === null),
  },
  {
    name: "index-into-bytes",
    library: "A number in a path is also an index into bytes.",
    mongodb: "Bytes have no members: the path leads to missing.",
    example: [{ "a.0": { $type: "number" } }, { a: Uint8Array.of(7) }, false, true],
    share: 0.001,
    applies: ({ path = "", document }) =>
      met(path, document).some(({ value, step }) => isBytes(value) && step in value),
  },
  {
    name: "nested-array-for-its-field",
    library: "Where a path crosses an array, an array in it stands for the field that is looked for.",
    mongodb: "The path goes on inside of elements that are objects, not of arrays.",
    example: [{ "a.b": 1 }, { a: [[1]] }, false, true],
    share: 0.005,
    applies: (place) => byName(place).some(({ value }) => isNested(value)),
  },
  {
    name: "missing-in-elements",
    library: "Where a path crosses an array, elements without the field are left out.",
    mongodb: "An object without the field leads to missing, which equals null.",
    example: [{ "a.b": null }, { a: [{}] }, true, false],
    share: 0.001,
    applies: (place, theirs) =>
      theirs === false &&
      byName(place).length > 0 &&
      place.values.includes(undefined) &&
      of(place, "$eq", "$in", "$all"),
  },
  {
    name: "values-joined-to-an-array",
    library:
      "Where a path crosses an array, the values found are put into a new array and that is what operators see.",
    mongodb:
      'Each value is looked at by itself; `$size`, `$type: "array"` and the like see no array that is not there.',
    example: [{ "a.b": { $size: 1 } }, { a: [{ b: 5 }] }, false, true],
    share: 0.002,
    applies: (place) =>
      byName(place).length > 0 &&
      (of(place, "$size", "$elemMatch", "$exists", "$type", "$all") ||
        [place.operand, ...place.values].some(isArray)),
  },
];

const SIFT = [
  {
    name: "type-unknown",
    library:
      "`$type` knows number, string, bool, array, null, and classes; every other name, every number and every list is an error, " +
      "if a value is looked at.",
    mongodb: "All types have a name and a number, and a list of them is allowed.",
    example: [{ a: { $type: "date" } }, { a: new Date(0) }, true, "throws Type alias does not exist"],
    share: 0.15,
    applies: (place, theirs) =>
      of(place, "$type") &&
      !["number", "string", "bool", "array", "null"].includes(place.operand) &&
      (throwsAs(theirs, "Type alias does not exist") || throwsAs(theirs, "Right-hand side of 'instanceof'")),
  },
  {
    name: "type-list",
    library:
      "A list of types is taken for a class: without a value to look at it does not fail, and never holds.",
    mongodb: "A list of types is allowed.",
    example: [{ a: { $type: ["null"] } }, { a: null }, true, false],
    share: 0.0005,
    applies: (place, theirs) => theirs === false && of(place, "$type") && candidates(place).includes(null),
  },
  {
    name: "bigint-in-document",
    library: "A bigint is no number for `$type`, and never equals or compares with a number.",
    mongodb: "All numbers compare by value, whatever their type.",
    example: [{ a: 5n }, { a: 5 }, true, false],
    share: 0.002,
    applies: (place, theirs) =>
      theirs === false &&
      of(place, "$eq", ...ORDER, "$type") &&
      [place.operand, ...place.values].some((value) => holds(value, isBigInt)),
  },
  {
    name: "nan-equals-nothing",
    library: "NaN does not equal NaN.",
    mongodb: "NaN equals NaN.",
    example: [{ a: Number.NaN }, { a: Number.NaN }, true, false],
    share: 0.005,
    applies: (place, theirs) => theirs === false && of(place, "$eq", ...ORDER) && meet(place, isNotANumber),
  },
  {
    name: "bytes-equal-nothing",
    library: "Bytes equal only the very same object.",
    mongodb: "Bytes compare by what they are.",
    example: [{ a: Uint8Array.of(1) }, { a: Uint8Array.of(1) }, true, false],
    share: 0.001,
    applies: (place, theirs) => theirs === false && of(place, "$eq") && meet(place, isBytes),
  },
  {
    name: "null-equals-no-member",
    library: "Objects with as many members are equal if those of the one are null where the other has none.",
    mongodb: "Inside of objects, null equals null only.",
    example: [{ a: { b: null } }, { a: { c: 1 } }, false, true],
    share: 0.001,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$eq") &&
      meet(place, isObject) &&
      holds([place.operand, place.values], (value) => value === null),
  },
  {
    name: "dates-are-numbers",
    library: "A date is the number of its milliseconds.",
    mongodb: "A date is of another type than a number, and neither equal nor ordered with it.",
    example: [{ a: 5 }, { a: new Date(5) }, false, true],
    share: 0.01,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$eq", ...ORDER) &&
      [place.operand, ...place.values].some((value) => holds(value, isDate)) &&
      [place.operand, ...place.values].some((value) => holds(value, isNumber)),
  },
  {
    name: "order-by-javascript",
    library:
      "`<` of JavaScript: null and missing, objects, arrays and bytes are compared with one another as texts or numbers.",
    mongodb:
      "Only values of one type are ordered: objects by their members, arrays by their elements, bytes by length and content.",
    example: [{ a: { $lte: [] } }, {}, false, true],
    share: 0.03,
    applies: (place) =>
      of(place, ...ORDER) &&
      [place.operand, ...candidates(place)].some(
        (value) => isObject(value) || isArray(value) || isBytes(value),
      ) &&
      typeof place.operand === "object",
  },
  {
    name: "index-looked-into",
    library: "An element that the path names by its index is looked into.",
    mongodb: "An element that the last name gave by index is taken as a whole.",
    example: [{ "a.0": 1 }, { a: [[1]] }, false, true],
    share: 0.015,
    applies: ({ places = [] }) => places.some(({ value, byIndex }) => byIndex && isArray(value)),
  },
  {
    name: "elements-in-nested-arrays",
    library: "`$elemMatch` looks into an array in the array, and its query goes on inside of it.",
    mongodb: "Operators see the element as it is; a query sees an array as an object of its indices.",
    example: [{ a: { $elemMatch: { $gt: 4 } } }, { a: [[5]] }, false, true],
    share: 0.01,
    applies: (place) => of(place, "$elemMatch", "$all") && holds(place.values, isNested),
  },
  {
    name: "nested-arrays-looked-into",
    library: "Arrays are looked into, however deeply they lie in each other.",
    mongodb: "Elements of an array at the end of a path are looked at, but not their elements.",
    example: [{ a: 1 }, { a: [[1]] }, false, true],
    share: 0.005,
    applies: (place, theirs) => theirs === true && holds(place.values, isNested) && !of(place, "$all"),
  },
  {
    name: "all-of-nothing",
    library: "An empty `$all` always holds.",
    mongodb: "An empty `$all` never holds.",
    example: [{ a: { $all: [] } }, {}, false, true],
    share: 0.02,
    applies: (place, theirs) => theirs === true && of(place, "$all") && place.operand.length === 0,
  },
  {
    name: "all-of-objects",
    library:
      "An object or array in `$all` is taken for a query: `{}` and `[]` always hold, and members are paths.",
    mongodb: "Only `$elemMatch` is more than a value there.",
    example: [{ a: { $all: [{}] } }, { a: 1 }, false, true],
    share: 0.005,
    applies: (place, theirs) =>
      theirs === true && of(place, "$all") && place.operand.some((item) => isObject(item) || isArray(item)),
  },
  {
    name: "index-into-text-and-bytes",
    library: "A number in a path is also an index into text and bytes.",
    mongodb: "Text and bytes have no members: the path leads to missing.",
    example: [{ "a.0": "x" }, { a: "xyz" }, false, true],
    share: 0.01,
    applies: ({ path = "", document }) =>
      met(path, document).some(
        ({ value, step }) => (isText(value) || isBytes(value)) && value[step] !== undefined,
      ),
  },
  {
    name: "index-is-no-name",
    library: "A number in a path is the index only.",
    mongodb:
      "A number is also the name of a member of those elements that are objects, and missing in the others of them.",
    example: [{ "a.0": 1 }, { a: [{ 0: 1 }] }, true, false],
    share: 0.01,
    applies: (place) => byIndex(place).some(({ value }) => value.some(isObject)),
  },
  {
    name: "index-to-nothing",
    library:
      "An index beyond the end, or one more step from a scalar there, leads to missing, which equals null.",
    mongodb: "Such a path leads to nothing, and nothing equals nothing.",
    example: [{ "a.0.b": null }, { a: [5] }, false, true],
    share: 0.002,
    applies: (place) => byIndex(place).some(({ value, step, rest }) => leadsNowhere(value[step], rest)),
  },
  {
    name: "null-on-the-way",
    library: "A path that meets null before its end leads to null.",
    mongodb: "Such a path leads to missing: `$type` and `$mod` see no null there.",
    example: [{ "a.b": { $type: "null" } }, { a: null }, false, true],
    share: 0.0005,
    applies: (place, theirs) =>
      theirs === true &&
      of(place, "$mod", "$type") &&
      met(place.path, place.document).some(({ value }) => value === null),
  },
  {
    name: "nested-arrays-on-the-way",
    library: "Where a path crosses an array, it goes on inside of arrays in it, too.",
    mongodb: "The path goes on inside of elements that are objects, not of arrays.",
    example: [{ "a.b": 1 }, { a: [[{ b: 1 }]] }, false, true],
    share: 0.001,
    applies: (place, theirs) => theirs === true && byName(place).some(({ value }) => isNested(value)),
  },
  {
    name: "elements-without-members",
    library:
      "Where a path crosses an array, elements that are null or another scalar lead to missing or null.",
    mongodb: "Elements that are no objects lead to nothing, and nothing equals nothing.",
    example: [{ "a.b": null }, { a: [5] }, false, true],
    share: 0.002,
    applies: (place, theirs) =>
      theirs === true &&
      byName(place).some(({ value }) => value.some((item) => !isObject(item) && !isArray(item))),
  },
];

/** The rules of each library; the first that applies is it, so what is more special comes first. */
export const RULES = { mingo: [...BOTH, ...MINGO], sift: [...BOTH, ...SIFT] };
