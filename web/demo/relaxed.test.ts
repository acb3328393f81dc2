import assert from "node:assert/strict";
import { test } from "node:test";
import { parseObject, SyntaxProblem } from "./relaxed.ts";

const problem = (text: string): SyntaxProblem => {
  try {
    parseObject(text);
  } catch (error) {
    assert.ok(error instanceof SyntaxProblem, String(error));
    return error;
  }
  return assert.fail(`${text} was taken`);
};

test("json means what JSON.parse says it means", () => {
  const texts = [
    "{}",
    '{"a":[1,-2.5,1e3,true,false,null,"x"],"b":{"c":{}}}',
    '{"quote":"\\"","slash":"\\\\","line":"\\n","unicode":"\\u00e9","astral":"\\ud83c\\udfac"}',
    '  {\n"a" : [ ] , "b":\t{ } }  ',
  ];
  for (const text of texts) assert.deepEqual(parseObject(text), JSON.parse(text), text);
});

test("names without quotes, single quotes and a last comma are taken as javascript takes them", () => {
  assert.deepEqual(
    parseObject("{ rating: { $gte: 8, }, genres: ['Drama', 'Film \"noir\"',], it: 'it\\'s' }"),
    {
      rating: { $gte: 8 },
      genres: ["Drama", 'Film "noir"'],
      it: "it's",
    },
  );
  assert.deepEqual(parseObject('{ text: \'an \\"escaped\\" quote, a \\\\"\' }'), {
    text: 'an "escaped" quote, a \\"',
  });
});

test("a pattern between slashes is a regular expression with its flags", () => {
  const { title, path } = parseObject("{ title: /\\bran\\b/i, path: /[/]a\\/b/ }") as {
    title: RegExp;
    path: RegExp;
  };
  assert.deepEqual([title.source, title.flags], ["\\bran\\b", "i"]);
  assert.ok(path.test("/a/b"));
});

test("a member named __proto__ is a member like any other", () => {
  const parsed = parseObject('{ "__proto__": { "polluted": 1 } }');
  assert.deepEqual(Object.keys(parsed), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(parsed), Object.prototype);
});

test("what is wrong is said with its line and column", () => {
  const places: [string, number, number][] = [
    ['{ "a": 1,, }', 1, 10],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
    ["{ a: Drama }", 1, 6],
    ["{ a: 'open }", 1, 6],
    ["{ a: [1, 2 }", 1, 12],
    ["{ a: 1", 1, 7],
    ["{} {}", 1, 4],
    ["{ a 1 }", 1, 5],
    ["{ a: 1.2.3 }", 1, 6],
    ["", 1, 1],
  ];
  for (const [text, line, column] of places) {
    const found = problem(text);
    assert.deepEqual([found.line, found.column], [line, column], `${text}: ${found.message}`);
  }
});

test("only an object is taken", () => {
  for (const text of ["[]", "1", "null", '"text"', "/a/"]) problem(text);
});

test("hostile depth is refused before the stack is exhausted", () => {
  assert.match(problem(`{ a: ${"[".repeat(100_000)}`).message, /nested/);
});

test("garbage ends in a problem and not in another error", () => {
  const characters = [..."{}[]:,'\"/\\ae1-.$\n "];
  let state = 7;
  for (let round = 0; round < 5_000; round += 1) {
    let text = "{";
    for (let at = 0; at < 12; at += 1) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      text += characters[(state >>> 16) % characters.length];
    }
    try {
      parseObject(text);
    } catch (error) {
      assert.ok(error instanceof SyntaxProblem, `${JSON.stringify(text)}: ${error}`);
    }
  }
});
