/** What the news tells of links, with an event stream and without. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sibling } from "./api.js";
import { Told } from "./told.ts";

const one = (id: string, up: boolean): Sibling => ({ id, url: `ws://${id}`, up });
const told = (told: Told, siblings: readonly Sibling[], mark = told.mark()): string[] =>
  told.see(siblings, mark).map(({ type, signaler }) => `${type} ${signaler?.id} ${signaler?.url}`);

test("the_first_look_is_no_news_and_the_next_tells_what_changed", () => {
  const links = new Told();
  assert.deepEqual(told(links, [one("a", true), one("b", false)]), []);
  assert.deepEqual(told(links, [one("a", false), one("b", true)]), [
    "sibling-down a ws://a",
    "sibling-up b ws://b",
  ]);
  assert.deepEqual(told(links, [one("a", false), one("b", true)]), []);
  assert.deepEqual(told(links, []), ["sibling-down b null"]);
});

test("what_the_stream_tells_is_not_told_twice", () => {
  const links = new Told();
  told(links, []);
  links.hear({ type: "sibling-up", signaler: { id: "a", url: null } });
  assert.deepEqual(told(links, [one("a", true)]), []);
  links.hear({ type: "sibling-down", signaler: { id: "a", url: null } });
  assert.deepEqual(told(links, [one("a", false)]), []);
});

test("a_look_that_may_be_older_than_a_change_tells_nothing", () => {
  const links = new Told();
  told(links, []);
  const mark = links.mark();
  links.hear({ type: "sibling-up", signaler: { id: "a", url: null } });
  assert.deepEqual(told(links, [], mark), []);
  assert.deepEqual(told(links, [one("a", true)]), []);
  assert.deepEqual(told(links, []), ["sibling-down a null"]);
});

test("after_a_restart_links_are_news_unless_the_stream_told_them", () => {
  const links = new Told();
  const both = [one("a", true), one("b", true)];
  told(links, both);
  links.pause();
  links.hear({ type: "sibling-up", signaler: { id: "a", url: null } });
  links.restart();
  assert.deepEqual(told(links, both), ["sibling-up b ws://b"]);
  // The stream alone was away: nothing happened.
  links.pause();
  assert.deepEqual(told(links, both), []);
});
