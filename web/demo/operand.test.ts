import assert from "node:assert/strict";
import { test } from "node:test";
import { operandOf } from "./operand.ts";

const QUERY = {
  "IMDB Rating": { $gte: 8, $lt: 9 },
  Title: /^r/i,
  Director: "Akira Kurosawa",
  "a.b": { c: 1 },
  $or: [{ Year: null }, { $and: [{ Tags: { $in: ["x", /y/] } }, { Name: { $regex: "x", $options: "i" } }] }],
};

test("the_operand_of_a_failed_condition_is_found_by_its_place", () => {
  for (const [term, field, wanted] of [
    ["$.IMDB Rating.$gte", "IMDB Rating", "8"],
    ["$.IMDB Rating.$lt", "IMDB Rating", "9"],
    ["$.Title.$regex", "Title", "/^r/i"],
    ["$.Director.$eq", "Director", '"Akira Kurosawa"'],
    ["$.a.b.$eq", "a.b", '{"c":1}'],
    ["$.$or[0].Year.$eq", "Year", "null"],
    ["$.$or[1].$and[0].Tags.$in", "Tags", '["x","/y/"]'],
    ["$.$or[1].$and[1].Name.$regex", "Name", '"x"'],
  ] as const) {
    assert.equal(operandOf(QUERY, term, field), wanted, term);
  }
});

test("a_place_that_is_not_in_the_query_has_no_operand", () => {
  for (const [term, field] of [
    ["$.$nor[0]", ""],
    ["$.$or[7].Year.$eq", "Year"],
    ["$.Other.$eq", "Other"],
    ["$.IMDB Rating.$ne", "IMDB Rating"],
    ["$.constructor.$eq", "constructor"],
  ] as const) {
    assert.equal(operandOf(QUERY, term, field), undefined, term);
  }
});

test("a_long_operand_is_cut", () => {
  const text = operandOf({ a: { $in: Array.from({ length: 100 }, (_, n) => n) } }, "$.a.$in", "a");
  assert.equal(text?.length, 61);
  assert.ok(text?.endsWith("…"));
});
