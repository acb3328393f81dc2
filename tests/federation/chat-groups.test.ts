/** `weft chat --json`: groups of people who write to each other. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { acquainted, Person } from "./chat.ts";
import { directory, Signaler, until } from "./signaler.ts";
import { Weft } from "./weft.ts";

test("c13_a_group_is_made_joined_written_in_and_each_sees_who_wrote_what", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  const group = await ada.founds("Friends");
  assert.equal((await ada.tries({ do: "invite", to: group, who: "nobody" })).code, "no-contact");
  const { id } = await ada.does({ do: "invite", to: "Friends", who: "Ben" });
  const invited = await ben.chat.line(
    "an invitation",
    (line) => line.event === "text" && line.id === id,
    40_000,
  );
  assert.deepEqual([invited.json.group, invited.json.text], ["Friends", ""]);
  assert.deepEqual(
    (await ben.does({ do: "contacts" })).groups,
    [],
    "it is taken only when the reader says so",
  );
  assert.equal((await ben.does({ do: "join", with: "Ada", of: id })).with, group);
  await ben.isIn(group);
  assert.equal((await ben.tries({ do: "join", with: "Ada", of: id })).code, "no-invitation");

  const tea = await ada.tells(group, "Tea or coffee?");
  const heard = await ben.hears("Tea or coffee?", 40_000);
  assert.deepEqual([heard.with, heard.in, heard.author, heard.name], [group, "Friends", ada.identity, "Ada"]);
  await ada.state(tea, "published");
  await ben.tells("Friends", "Coffee", { reply: tea });
  assert.equal((await ada.hears("Coffee", 40_000)).reply, tea);
  await ben.does({ do: "react", to: group, of: tea, emoji: "☕" });
  const changed = (line: { event: string; id: string; reactions: object }) =>
    line.event === "changed" && line.id === tea && line.reactions !== undefined;
  const sign = await ada.chat.line("a sign", changed, 40_000);
  assert.deepEqual(sign.json.reactions, { [ben.identity]: "☕" });
  await ada.does({ do: "edit", to: group, of: tea, text: "Tea, coffee or water?" });
  const edited = (line: { event: string; text: string }) =>
    line.event === "changed" && line.text === "Tea, coffee or water?";
  await ben.chat.line("an edit", edited, 40_000);
  assert.equal((await ben.tries({ do: "edit", to: group, of: tea, text: "Coffee!" })).code, "not-yours");

  const small = join(directory(t), "small.txt");
  writeFileSync(small, "a small file");
  const file = await ben.tells(group, "the list", { attach: [small] });
  await ada.hears("the list", 40_000);
  const path = join(directory(t), "saved.txt");
  await ada.does({ do: "save", with: group, of: file, path });
  assert.equal(readFileSync(path, "utf8"), "a small file");

  assert.equal((await ben.tries({ do: "rename", group, name: "Mine" })).code, "not-an-admin");
  await ada.does({ do: "rename", group, name: "Old friends" });
  await ben.chat.line("a name", (line) => line.event === "group" && line.group === "Old friends", 40_000);
  assert.deepEqual((await ben.does({ do: "search", text: "WATER" })).items[0].in, "Old friends");
  const { groups } = await ben.does({ do: "contacts" });
  assert.deepEqual([groups[0].unread, groups[0].role, groups[0].members], [1, "writer", 2]);
  await ben.does({ do: "read", with: group });
  assert.equal((await ben.does({ do: "contacts" })).groups[0].unread, 0);
  const members = (await ben.does({ do: "members", with: group })).members;
  const seen = members.map(({ name, role, mine }: { name: string; role: string; mine: boolean }) => [
    name,
    role,
    mine,
  ]);
  assert.deepEqual(seen.sort(), [
    ["Ada", "admin", false],
    ["Ben", "writer", true],
  ]);
});

/** Puts a file of a text where it can be looked at. */
async function saves(person: Person, group: string, of: string): Promise<Buffer> {
  const path = join(directory(person.t), "saved");
  await person.does({ do: "save", with: group, of, path });
  return readFileSync(path);
}

/** What is told of a file. */
const isFile = (state: string) => (line: { event: string; state: string }) =>
  line.event === "file" && line.state === state;

test("c13_files_that_are_not_in_their_text_go_to_a_group_and_from_member_to_member_when_their_author_is_away", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  const cyr = await Person.start(t, "Cyr", signaler);
  for (const other of [ben, cyr]) await acquainted(ada, other);
  const group = await ada.founds("Friends");
  for (const other of [ben, cyr]) await ada.invites(group, other);
  await cyr.stops();

  const [photo, film] = [randomBytes(300 * 1024), randomBytes(1_000_000)];
  const path = (name: string) => join(directory(t), name);
  const files = [path("photo.jpg"), path("film.mp4")] as const;
  writeFileSync(files[0], photo);
  writeFileSync(files[1], film);
  const first = await ada.tells(group, "a photo", { attach: [files[0]] });
  await ben.hears("a photo", 40_000);
  await ben.chat.line("the photo, by itself", isFile("here"), 40_000);
  assert.deepEqual(await saves(ben, group, first), photo);
  const second = await ada.tells(group, "a film", { attach: [files[1]] });
  const heard = await ben.hears("a film", 40_000);
  assert.deepEqual([heard.attachments[0].state, heard.attachments[0].got], ["partial", 0], "not by itself");
  assert.deepEqual(await saves(ben, group, second), film);

  // The author goes, and who was away is no contact of the one who has it.
  await ada.stops();
  await cyr.again();
  await cyr.hears("a film", 60_000);
  assert.deepEqual(await saves(cyr, group, first), photo);
  assert.deepEqual(await saves(cyr, group, second), film);

  // Where nobody is there it waits for somebody.
  await ben.stops();
  await ada.again();
  const both = async () => (await ada.does({ do: "contacts" })).groups[0].present;
  await until("Cyr is there", both, (present) => present === 1, 60_000);
  writeFileSync(files[0], film.subarray(0, 200_000));
  const third = await ada.tells(group, "another photo", { attach: [files[0]] });
  await cyr.hears("another photo", 40_000);
  assert.deepEqual(await saves(cyr, group, third), film.subarray(0, 200_000));
  await cyr.stops();
  await ada.does({ do: "delete", to: group, of: third });
  await ada.stops();
  await cyr.again();
  assert.deepEqual(await saves(cyr, group, third), film.subarray(0, 200_000), "also after a restart");
});

test("c13_a_late_member_reads_what_was_said_as_far_as_it_was_granted_and_a_removed_one_nothing_more", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  const cyr = await Person.start(t, "Cyr", signaler);
  for (const other of [ben, cyr]) await acquainted(ada, other);
  const group = await ada.founds("Friends");
  await ada.invites(group, ben);
  for (const [person, other, text] of [
    [ada, ben, "one"],
    [ben, ada, "two"],
    [ada, ben, "three"],
  ] as const) {
    await person.tells(group, text);
    await other.hears(text, 40_000);
  }
  await ada.invites(group, cyr);
  const all = async () => await cyr.texts(group);
  await until(
    "everything that was said, in its order",
    all,
    (texts) => texts.join() === "one,two,three",
    40_000,
  );
  const names = (await cyr.does({ do: "members", with: group })).members.map(
    ({ name }: { name: string }) => name,
  );
  assert.ok(names.includes(`Ben (${ben.identity.slice(-4)})`), `${names}`);

  const dan = await Person.start(t, "Dan", signaler);
  await acquainted(ada, dan);
  await ada.invites(group, dan, { history: false });
  await ben.tells(group, "for all four");
  await dan.hears("for all four", 40_000);
  assert.deepEqual(await dan.texts(group), ["for all four"]);

  await cyr.hears("for all four", 40_000);
  await ada.does({ do: "remove", from: group, who: "Cyr" });
  const removed = (line: { event: string; standing: string; code: string }) =>
    line.event === "group" && line.standing === "out" && line.code === "removed";
  await cyr.chat.line("the removal", removed, 40_000);
  await ben.tells(group, "without Cyr");
  await dan.hears("without Cyr", 40_000);
  assert.equal((await cyr.tries({ do: "say", to: group, text: "let me in" })).code, "not-a-member");
  await cyr.stops();
  await cyr.again();
  assert.deepEqual(await cyr.texts(group), ["one", "two", "three", "for all four"]);

  // Who was removed comes back when an admin asks it to.
  await ada.invites(group, cyr);
  const again = async () => await cyr.texts(group);
  await until("what was said meanwhile", again, (texts) => texts.at(-1) === "without Cyr", 40_000);
});

test("c13_a_group_goes_on_after_a_restart_and_with_who_was_away_and_who_leaves_keeps_nothing", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  const group = await ada.founds("Friends");
  await ada.invites(group, ben);
  await ada.tells(group, "before");
  await ben.hears("before", 40_000);
  await ben.stops();
  const alone = await ada.tells(group, "while Ben is away");
  await ada.state(alone, "published");
  await ada.stops();
  await ada.again();
  await ben.again();
  const both = async () => (await ben.texts(group)).join();
  await until("what was said meanwhile", both, (texts) => texts === "before,while Ben is away", 60_000);
  assert.deepEqual(await ada.texts(group), ["before", "while Ben is away"], "each once");

  // `weft publish` writes into a group as `weft send` does to a person.
  await ben.stops();
  const document = join(directory(t), "line.jsonl");
  writeFileSync(document, `${JSON.stringify({ text: "from a shell" })}\n`);
  const options = { signalers: [signaler.url], party: group, data: ben.data };
  const shell = await Weft.run(t, "publish", ["--timeout", "30", document], options);
  assert.equal(shell.code, 0, shell.err);
  assert.equal((await ada.hears("from a shell", 40_000)).author, ben.identity);
  await ben.again();
  await until(
    "both are there",
    async () => (await ada.does({ do: "contacts" })).groups[0].present,
    (n) => n === 1,
    60_000,
  );

  await ben.does({ do: "leave", with: group });
  const left = (line: { event: string; with: string }) => line.event === "removed" && line.with === group;
  await ben.chat.line("the end", left);
  const gone = async () => (await ada.does({ do: "members", with: group })).members;
  const who = (members: { who: string; left: boolean }[]) =>
    members.find(({ who }) => who === ben.identity)?.left;
  await until("that Ben has left", gone, (members) => who(members) === true, 40_000);
  assert.deepEqual((await ben.does({ do: "contacts" })).groups, []);
  assert.equal((await ben.tries({ do: "history", with: group })).code, "no-contact");
  // Whoever has left may be let in again.
  await ada.does({ do: "remove", from: group, who: ben.identity });
  await ada.invites(group, ben);
  await ben.tells(group, "back");
  await ada.hears("back", 40_000);
});
