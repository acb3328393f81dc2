/** `weft chat` on a terminal, with somebody at the other end who uses `weft chat --json`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person } from "./chat.ts";
import { directory, Signaler, until } from "./signaler.ts";
import { Terminal } from "./terminal.ts";
import { Weft } from "./weft.ts";

test("c13_the_terminal_client_has_history_unread_counts_marks_and_typing", async (t) => {
  const signaler = await Signaler.start(t);
  const ben = await Person.start(t, "Ben", signaler);
  const data = directory(t);
  const identity = await Weft.identity(data);
  const args = [
    "--data",
    data,
    "--signaler",
    signaler.url,
    "--no-discovery",
    "--listen-address",
    "127.0.0.1",
  ];
  let ada = Terminal.start(t, args, 80, 24);
  await ada.shows("connected");
  ada.press("n");
  await ada.shows("Your name");
  ada.type("Ada");
  ada.press("Enter");
  await ada.shows(/^ Ada/m);

  // Ben asks, Ada accepts; the words are the same for both.
  await ben.does({ do: "add", address: identity, note: "we met" });
  await ada.shows("asks to write");
  ada.press("Enter");
  await ada.shows("we met");
  ada.press("a");
  await ada.shows("● here");
  await ben.chat.line("Ada's name", (line) => line.event === "contact" && line.name === "Ada");
  ada.press("Tab", "w");
  const words = (await ben.does({ do: "words", with: "Ada" })).words.split(" ") as string[];
  const shown = await ada.shows("Verification words");
  for (const word of words) assert.ok(shown.includes(word), `${word} in\n${shown}`);
  ada.press("y", "Enter");
  await ada.shows("words compared");

  // What is written has its marks, in words.
  ada.type("seen Ran yet?");
  await ben.chat.line("typing", (line) => line.event === "typing" && line.on);
  ada.press("Enter");
  const came = await ben.hears("seen Ran yet?");
  await ada.shows("✓ delivered");
  await ben.does({ do: "read", with: "Ada" });
  await ada.shows("✓✓ read");
  await ben.does({ do: "react", to: "Ada", of: came.id, emoji: "!" });
  await ada.shows("! Ben");
  await ben.does({ do: "typing", to: "Ada", on: true });
  await ada.shows("Ben is writing …");
  await ada.hides("Ben is writing …");
  const twice = (await ben.does({ do: "say", to: "Ada", text: "twice", reply: came.id })).id as string;
  await ada.shows("│ you: seen Ran yet?");
  await ben.state(twice, "read");

  // An edit from the keyboard.
  ada.press("Up", "Up", "e");
  await ada.shows("edit you: seen Ran yet?");
  ada.type(" It is long.");
  ada.press("Enter");
  await ben.chat.line(
    "the edit",
    (line) => line.event === "changed" && line.text === "seen Ran yet? It is long.",
  );
  await ada.shows("edited");

  // Every size works, and the way back.
  for (const [columns, rows] of [
    [40, 12],
    [200, 60],
    [80, 24],
  ] as const) {
    ada.resize(columns, rows);
    await ada.shows(/twice/);
  }

  // Ended by a signal the terminal is as it was.
  process.kill(ada.pid(), "SIGTERM");
  const left = await ada.shows(/ended with 0[\s\S]*icanon/);
  assert.doesNotMatch(left, /-icanon|twice/);

  const says = async (text: string) => (await ben.does({ do: "say", to: "Ada", text })).id as string;

  // What comes meanwhile is unread in the next run, and the history is there.
  const later = [await says("three"), await says("four")];
  for (const id of later) await ben.state(id, "stored", 60_000);
  ada = Terminal.start(t, args, 80, 24);
  await ada.shows("(2)");
  for (const id of later) await ben.state(id, "delivered", 60_000);
  assert.ok(!ben.chat.lines.some(({ json }) => json.state === "read" && later.includes(json.id)));
  ada.press("Enter");
  await ada.shows("seen Ran yet? It is long.");
  await ada.shows("four");
  await ada.hides("(2)");
  for (const id of later) await ben.state(id, "read");
  // A search finds it.
  ada.press("C-f");
  ada.type("ran yet");
  await ada.shows("▸ Ben: you: seen Ran yet?");
  ada.press("Enter");
  await ada.shows("▌ seen Ran yet?");
  ada.press("C-q");
  await ada.shows("ended with 0");
});

test("c13_a_group_is_made_an_invitation_taken_and_a_group_left_by_keys_alone", async (t) => {
  const signaler = await Signaler.start(t);
  const ben = await Person.start(t, "Ben", signaler);
  const data = directory(t);
  const identity = await Weft.identity(data);
  const place = [
    "--data",
    data,
    "--signaler",
    signaler.url,
    "--no-discovery",
    "--listen-address",
    "127.0.0.1",
  ];
  const ada = Terminal.start(t, place, 80, 24);
  await ada.shows("connected");
  await ben.does({ do: "add", address: identity, note: "we met" });
  await ada.shows("asks to write");
  ada.press("Enter");
  await ada.shows("we met");
  ada.press("a");
  await ada.shows("● here");

  ada.press("Tab", "c");
  await ada.shows("A new group");
  ada.type("Friends");
  ada.press("Enter");
  await ada.shows("group · 1 member ·");
  ada.press("C-g");
  await ada.shows("(you) · admin");
  ada.press("i");
  await ada.shows("▸ Ben");
  ada.press("Enter");
  const invitation = (line: { event: string; group: string }) =>
    line.event === "text" && line.group === "Friends";
  const { json } = await ben.chat.line("an invitation", invitation, 40_000);
  const group = (await ben.does({ do: "join", with: identity, of: json.id })).with as string;
  await ben.isIn(group);
  await ada.shows("2 members · 2 here");
  ada.type("Hello all");
  ada.press("Enter");
  await ada.shows("○ published");
  await ben.hears("Hello all", 40_000);
  await ben.tells(group, "Hello yourself");
  await ada.shows(/^.* Ben \d\d:\d\d[\s\S]*Hello yourself/m);

  // Ben asks Ada into a group of his: it stands in the conversation with him.
  const others = await ben.founds("Others");
  await ben.does({ do: "invite", to: others, who: identity });
  await ada.shows("invites you to… (1)");
  ada.press("C-f");
  ada.type("yourself");
  await ada.shows("# Friends: Ben: Hello yourself");
  // What follows an escape at once would be one key with it.
  ada.press("Escape");
  await ada.hides("Search: Enter opens");
  ada.press("Tab", "k", "Enter");
  await ada.shows("invites you to the group Others");
  ada.press("Up", "Enter");
  await ada.shows("Ben invites you to the group “Others”");
  ada.press("y");
  await ada.shows("2 members · 2 here");
  ada.press("Tab", "x");
  await ada.shows("Leave Others");
  ada.press("y");
  await ada.hides("# Others");
  const members = async () => (await ben.does({ do: "members", with: others })).members;
  const left = (all: { who: string; left: boolean }[]) =>
    all.find(({ who }) => who === identity)?.left === true;
  await until("that Ada has left", members, left, 40_000);
  ada.press("C-q");
  await ada.shows("ended with 0");
});

test("c13_without_a_terminal_or_with_the_history_in_use_the_command_says_what_to_do", async (t) => {
  const none = await Weft.run(t, "chat", [], { signalers: ["ws://127.0.0.1:1"] });
  assert.equal(none.code, 2);
  assert.match(none.err, /--json/);
});
