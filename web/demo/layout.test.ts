import assert from "node:assert/strict";
import { test } from "node:test";
import { Layout, type Spot } from "./layout.ts";

const ids = ["you", ...Array.from({ length: 19 }, (_, index) => `z6Mk${index}`)];
const ring = ids.map((id, index) => [id, ids[(index + 1) % ids.length] as string] as const);

/** Steps until everything rests; how many that took. */
const settle = (layout: Layout): number => {
  for (let steps = 1; steps <= 3_000; steps += 1) if (!layout.step()) return steps;
  return assert.fail("still moving after 3,000 steps");
};
const distance = (one: Spot, other: Spot): number => Math.hypot(one.x - other.x, one.y - other.y);
const spot = (layout: Layout, id: string): Spot => layout.spots.get(id) ?? assert.fail(id);

test("the same peers give the same picture, and it comes to rest", () => {
  const [one, other] = [new Layout(), new Layout()];
  for (const layout of [one, other]) {
    layout.set(ids, ring, "you");
    settle(layout);
  }
  assert.deepEqual([...one.spots.values()], [...other.spots.values()]);
});

test("oneself is in the middle and nobody lies on somebody else", () => {
  const layout = new Layout();
  layout.set(ids, ring, "you");
  settle(layout);
  assert.deepEqual([spot(layout, "you").x, spot(layout, "you").y], [0, 0]);
  const all = [...layout.spots.values()];
  for (const one of all) {
    assert.ok(Number.isFinite(one.x) && Number.isFinite(one.y));
    for (const other of all)
      assert.ok(one === other || distance(one, other) > 0.2, `${one.id} on ${other.id}`);
  }
});

test("who has a link is nearer than who has none", () => {
  const layout = new Layout();
  layout.set(["you", "friend", "stranger"], [["you", "friend"]], "you");
  settle(layout);
  const near = distance(spot(layout, "you"), spot(layout, "friend"));
  assert.ok(near < distance(spot(layout, "you"), spot(layout, "stranger")));
});

test("who stays keeps the place when others come and go", () => {
  const layout = new Layout();
  layout.set(ids, ring, "you");
  settle(layout);
  const { x, y } = spot(layout, "z6Mk3");
  layout.set([...ids.slice(0, 10), "new"], [], "you");
  assert.deepEqual([spot(layout, "z6Mk3").x, spot(layout, "z6Mk3").y], [x, y]);
  assert.equal(layout.spots.has("z6Mk15"), false);
  assert.equal(layout.spots.has("new"), true);
});

test("a link to somebody unknown is ignored", () => {
  const layout = new Layout();
  layout.set(["you"], [["you", "nobody"]], "you");
  assert.equal(layout.step(), false);
});
