/** `weft chat --json`: two people who write to each other. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { acquainted, Person } from "./chat.ts";
import { directory, environment, Signaler } from "./signaler.ts";
import { PROGRAM, Weft } from "./weft.ts";

test("c8_c11_two_commands_become_contacts_and_talk_and_each_knows_how_far_a_text_is", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  const link = (await ben.does({ do: "profile" })).link as string;
  assert.ok(link.startsWith(`weft:${ben.identity}?name=Ben&signaler=ws://`), link);
  assert.equal((await ada.does({ do: "add", address: link, note: "we met" })).hint, undefined);
  const request = await ben.chat.line("a request", (line) => line.event === "request", 40_000);
  assert.deepEqual([request.json.name, request.json.note, request.json.asks], ["Ada", "we met", true]);
  await ben.does({ do: "accept", who: "Ada" });
  await ada.meets(ben);
  await ben.meets(ada);
  const words = await ada.does({ do: "words", with: "Ben" });
  assert.equal(words.words.split(" ").length, 12);
  assert.equal((await ben.does({ do: "words", with: "Ada" })).words, words.words);

  const one = await ada.says(ben, "seen Ran yet?");
  const came = await ben.hears("seen Ran yet?");
  assert.deepEqual([came.id, came.name, came.quiet], [one, "Ada", false]);
  await ada.state(one, "delivered");
  await ben.does({ do: "read", with: "Ada" });
  await ada.state(one, "read");

  const answer = await ben.says(ada, "twice", { reply: one });
  assert.equal((await ada.hears("twice")).reply, one);
  await ben.does({ do: "edit", to: "Ada", of: answer, text: "three times" });
  const changed = (text: string) => (line: { event: string; text: string }) =>
    line.event === "changed" && line.text === text;
  assert.equal((await ada.chat.line("an edit", changed("three times"))).json.edited, true);
  await ada.does({ do: "react", to: "Ben", of: answer, emoji: "👍" });
  const sign = await ben.chat.line("a reaction", (line) => line.event === "changed" && line.reactions);
  assert.deepEqual(sign.json.reactions, { [ada.identity]: "👍" });
  await ben.does({ do: "delete", to: "Ada", of: answer });
  await ada.chat.line("a deletion", (line) => line.event === "changed" && line.deleted);
  const refused = await ada.tries({ do: "edit", to: "Ben", of: answer, text: "mine" });
  assert.equal(refused.code, "not-yours");
  assert.deepEqual(
    (await ada.history(ben)).map(({ text, deleted }) => deleted ?? text),
    ["seen Ran yet?", true],
  );
  // A name that changes is told; a name of one's own goes before it.
  await ben.does({ do: "profile", name: "Benjamin" });
  await ada.chat.line("another name", (line) => line.event === "contact" && line.name === "Benjamin");
  await ada.does({ do: "rename", who: "Benjamin", name: "B" });
  assert.equal((await ada.does({ do: "contacts" })).contacts[0].name, "B");
});

test("c8_typing_is_shown_for_at_most_six_seconds_and_never_queued", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  await ada.meets(ben);
  await ben.meets(ada);
  const typing = (on: boolean) => (line: { event: string; on: boolean }) =>
    line.event === "typing" && line.on === on;
  await ada.does({ do: "typing", to: "Ben", on: true });
  const from = await ben.chat.line("typing", typing(true));
  const to = await ben.chat.line("the end of typing", typing(false));
  assert.ok(to.at - from.at <= 6_500, `${to.at - from.at} ms`);
  assert.ok(to.at - from.at >= 5_000, `${to.at - from.at} ms`);
  // Nobody is there to see it: it does not wait for them.
  await ben.stops();
  await ada.chat.line("Ben's leave", (line) => line.event === "presence" && !line.on, 40_000);
  await ada.does({ do: "typing", to: "Ben", on: true });
  const id = await ada.says(ben, "are you there?");
  await ada.state(id, "stored", 40_000);
  await ben.again();
  await ben.hears("are you there?", 40_000);
  await ada.state(id, "delivered", 40_000);
  assert.ok(!ben.chat.lines.some(({ json }) => json.event === "typing"));
});

test("c8_c11_who_is_away_catches_up_in_order_once_and_the_sender_sees_stored_then_delivered", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  await ben.stops();
  const texts = ["one", "two", "three", "four", "five"];
  const ids: string[] = [];
  for (const text of texts) ids.push(await ada.says(ben, text));
  for (const id of ids) await ada.state(id, "stored", 60_000);
  // The history knows it in the next run, too.
  await ada.stops();
  await ben.again();
  for (const text of texts) await ben.hears(text, 60_000);
  assert.deepEqual(
    (await ben.history(ada)).map(({ text }) => text),
    texts,
  );
  await ada.again();
  await ben.does({ do: "read", with: "Ada" });
  const states = async () => (await ada.history(ben)).map(({ state }) => state as string);
  await ada.state(ids[4] as string, "read", 60_000);
  assert.deepEqual(await states(), Array(5).fill("read"));
  assert.equal(ben.chat.lines.filter(({ json }) => json.event === "text").length, 5);
});

test("c11_what_is_written_without_a_signaler_is_sending_and_goes_in_the_next_run", async (t) => {
  const signaler = await Signaler.start(t);
  const { dir, port } = signaler;
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  await ada.stops();
  await ben.stops();
  await signaler.kill();
  const offline = Weft.start(t, "chat", ["--json", "--stay"], { signalers: ada.signalers, data: ada.data });
  await offline.line("the start", (line) => line.event === "ready");
  offline.write({ do: "say", to: "Ben", text: "later", tag: 1 });
  await offline.line("its id", (line) => line.tag === 1 && line.event === "done");
  offline.write({ do: "history", with: "Ben", tag: 2 });
  const shown = await offline.line("the history", (line) => line.tag === 2);
  assert.deepEqual([shown.json.items[0].text, shown.json.items[0].state], ["later", "sending"]);
  await offline.kill();
  await Signaler.start(t, { dir, port });
  await ada.again();
  await ben.again();
  await ben.hears("later", 60_000);
  assert.equal((await ada.history(ben)).length, 1);
});

test("c11_a_file_of_300_kib_comes_though_both_are_never_there_together", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  await ben.stops();
  const place = directory(t);
  const bytes = randomBytes(300 * 1024);
  writeFileSync(join(place, "photo.jpg"), bytes);
  const id = await ada.says(ben, "look", { attach: [join(place, "photo.jpg")] });
  await ada.state(id, "stored", 60_000);
  // What is behind the text has to be safe, too: that is what the end of the input waits for.
  ada.chat.write({ do: "quit" });
  assert.equal((await ada.chat.ended()).code, 0);
  await ben.again();
  const text = await ben.hears("look", 60_000);
  assert.deepEqual(
    text.attachments.map(({ name, type, size }: Record<string, unknown>) => [name, type, size]),
    [["photo.jpg", "image/jpeg", 300 * 1024]],
  );
  const saved = await ben.does({ do: "save", with: "Ada", of: id, path: join(place, "saved.jpg") });
  assert.ok(readFileSync(saved.path).equals(bytes));
  const again = await ben.tries({ do: "save", with: "Ada", of: id, path: join(place, "saved.jpg") });
  assert.match(again.text, /is there already/);
});

test("c11_a_file_of_3_mb_comes_while_both_are_there_and_goes_on_after_a_kill", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  await ada.meets(ben);
  await ben.meets(ada);
  const place = directory(t);
  const bytes = randomBytes(3_000_000);
  writeFileSync(join(place, "film.webm"), bytes);
  const id = await ada.says(ben, "", { attach: [join(place, "film.webm")] });
  const text = await ben.hears("");
  assert.equal(text.attachments[0].state, "partial");
  ben.chat.write({ do: "save", with: "Ada", of: id, path: join(place, "saved.webm") });
  const some = (line: { event: string; got: number }) => line.event === "file" && line.got >= 3;
  await ben.chat.line("three pieces", some, 60_000);
  await ben.chat.kill();
  await ben.again();
  const before = (await ben.history(ada))[0].attachments[0];
  assert.ok(before.got >= 3, JSON.stringify(before));
  const saved = await ben.does({ do: "save", with: "Ada", of: id, path: join(place, "saved.webm") });
  assert.ok(readFileSync(saved.path).equals(bytes));
});

test("c11_a_second_command_with_the_same_history_is_told_so_and_nothing_is_readable_on_the_disk", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada Lovelace", signaler);
  const ben = await Person.start(t, "Ben", signaler);
  await acquainted(ada, ben);
  const id = await ada.says(ben, "nobody else is to read this");
  await ben.hears("nobody else is to read this", 40_000);
  await ada.state(id, "delivered", 40_000);
  const second = await Weft.run(t, "chat", ["--json"], { signalers: [signaler.url], data: ben.data });
  assert.equal(second.code, 1);
  assert.match(second.err, /another weft chat has the history/);
  for (const data of [ada.data, ben.data]) {
    for (const file of readdirSync(data).filter((name) => name.startsWith("chat"))) {
      const text = readFileSync(join(data, file)).toString("latin1");
      for (const secret of ["nobody else", "Lovelace", ada.identity, ben.identity]) {
        assert.ok(!text.includes(secret), `${secret} in ${file}`);
      }
    }
  }
});

test("c11_a_stranger_is_kept_apart_and_weft_send_writes_to_somebody_who_chats", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const data = directory(t);
  const sender = await Weft.identity(data);
  const sent = await Weft.run(t, "send", [ada.identity, "backup \u001b[31mdone"], {
    signalers: [signaler.url],
    data,
  });
  assert.equal(sent.code, 0, sent.err);
  const request = await ada.chat.line("a stranger", (line) => line.event === "request", 40_000);
  assert.deepEqual([request.json.from, request.json.asks], [sender, false]);
  const { strangers, contacts } = await ada.does({ do: "contacts" });
  assert.deepEqual([strangers[0].texts, contacts], [["backup [31mdone"], []]);
  await ada.does({ do: "refuse", who: sender });
  assert.deepEqual((await ada.does({ do: "contacts" })).strangers, []);
  const nobody = await ada.tries({ do: "say", to: sender, text: "hello?" });
  assert.equal(nobody.code, "no-contact");
});

test("c11_the_bot_of_the_guide_answers_whoever_adds_it", async (t) => {
  const signaler = await Signaler.start(t);
  const ada = await Person.start(t, "Ada", signaler);
  const guide = readFileSync(new URL("../../docs/guides/chat.md", import.meta.url), "utf8");
  const bot = /```sh\n([\s\S]*?)```/.exec(guide)?.[1] ?? assert.fail("no bot in the guide");
  const place = directory(t);
  const data = directory(t);
  // `weft` as it would be installed, at home on this machine alone.
  const weft = join(place, "weft");
  writeFileSync(weft, `#!/bin/sh\nexec '${PROGRAM}' "$@" --listen-address 127.0.0.1\n`);
  chmodSync(weft, 0o755);
  const path = `${place}:${process.env["PATH"]}`;
  const env = { PATH: path, WEFT_DATA: data, WEFT_SIGNALER: signaler.url, WEFT_NO_DISCOVERY: "true" };
  const shell = spawn("bash", ["-c", bot], {
    cwd: place,
    env: environment(env),
    stdio: "ignore",
    detached: true,
  });
  // The shell and the command that it has started.
  t.after(() => process.kill(-(shell.pid ?? assert.fail("no shell")), "SIGKILL"));
  await ada.does({ do: "add", address: await Weft.identity(data), name: "Bot" });
  const agrees = (line: { event: string; contact: boolean }) => line.event === "contact" && line.contact;
  await ada.chat.line("a yes", agrees, 40_000);
  const id = (await ada.does({ do: "say", to: "Bot", text: "hello" })).id as string;
  assert.equal((await ada.hears("you said: hello", 40_000)).reply, id);
  await ada.state(id, "read", 40_000);
});
