/** Mail that waits: two `weft` commands that are never there together, and signalers that are killed in between. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { directory, Signaler, until } from "./signaler.ts";
import { Weft } from "./weft.ts";

/** How long mail may take to be shown while the residence notices that one of it is dead; milliseconds. */
const SHOWN = 40_000;

interface Friend {
  readonly data: string;
  readonly identity: string;
}

/** Somebody who has listened once: there is a mailbox, the `count`th. */
async function friend(t: TestContext, all: readonly Signaler[], count: number): Promise<Friend> {
  const data = directory(t);
  const identity = await Weft.identity(data);
  const signalers = all.map(({ url }) => url);
  const listener = Weft.start(t, "listen", [], { signalers, party: "home", data });
  for (const one of all) {
    const open = async () => (await one.metrics()).get("weft_mailboxes");
    await until("a mailbox", open, (open) => open >= count);
  }
  listener.process.kill("SIGTERM");
  await listener.ended();
  return { data, identity };
}

/** Runs `weft send` to its end; gives what it printed. */
async function send(
  t: TestContext,
  from: Friend,
  to: Friend,
  text: string,
  signalers: readonly string[],
  ...args: readonly string[]
): Promise<{ outcome: string; id: string; code: number | null }> {
  const ran = await Weft.run(t, "send", [to.identity, text, ...args], {
    signalers,
    party: "elsewhere",
    data: from.data,
  });
  const { outcome, id } = JSON.parse(ran.out) as { outcome: string; id: string };
  return { outcome, id, code: ran.code };
}

/** What `weft listen` shows of so many messages. */
async function listen(
  t: TestContext,
  who: Friend,
  count: number,
  signalers: readonly string[],
): Promise<string[]> {
  const listener = Weft.start(t, "listen", ["--count", `${count}`], {
    signalers,
    party: "home",
    data: who.data,
  });
  await listener.count(count, SHOWN);
  const { code } = await listener.ended();
  assert.equal(code, 0, listener.log);
  return listener.lines.map(({ json }) => json.data.text as string);
}

test("c3_c4_two_commands_that_are_never_there_together_write_to_each_other_though_the_signaler_is_killed", async (t) => {
  let signaler = await Signaler.start(t);
  const { dir, port } = signaler;
  const [ada, ben] = [await friend(t, [signaler], 1), await friend(t, [signaler], 2)];
  const one = await send(t, ada, ben, "one", [signaler.url]);
  assert.deepEqual([one.outcome, one.code], ["stored", 0]);
  assert.equal((await send(t, ada, ben, "two", [signaler.url])).outcome, "stored");
  await signaler.kill();
  signaler = await Signaler.start(t, { dir, port });
  // Who does not listen takes nothing out of the mailbox.
  assert.equal((await send(t, ben, ada, "a question", [signaler.url])).outcome, "stored");
  assert.deepEqual(await listen(t, ben, 2, [signaler.url]), ["one", "two"]);
  assert.deepEqual(await listen(t, ada, 1, [signaler.url]), ["a question"]);
  // Nothing comes twice, also after another kill.
  await signaler.kill();
  signaler = await Signaler.start(t, { dir, port });
  assert.equal((await send(t, ada, ben, "three", [signaler.url])).outcome, "stored");
  assert.deepEqual(await listen(t, ben, 1, [signaler.url]), ["three"]);
});

test("c3_c4_what_came_with_the_last_message_that_was_wanted_is_shown_too", async (t) => {
  const signaler = await Signaler.start(t);
  const [ada, ben] = [await friend(t, [signaler], 1), await friend(t, [signaler], 2)];
  for (const text of ["one", "two", "three"])
    assert.equal((await send(t, ada, ben, text, [signaler.url])).outcome, "stored");
  const shown = await listen(t, ben, 1, [signaler.url]);
  while (shown.length < 3) shown.push(...(await listen(t, ben, 1, [signaler.url])));
  assert.deepEqual(shown, ["one", "two", "three"]);
});

test("c3_c4_each_of_three_signalers_is_killed_while_mail_waits_between_two_commands", async (t) => {
  const first = await Signaler.start(t, { args: ["--open"] });
  const args = ["--open", "--sibling", first.url];
  const all = [first, await Signaler.start(t, { args }), await Signaler.start(t, { args })];
  for (const one of all) await one.siblings(2);
  const urls = all.map(({ url }) => url);
  const [ada, ben] = [await friend(t, all, 1), await friend(t, all, 2)];
  for (const [n, one] of all.entries()) {
    const others = urls.filter((url) => url !== one.url);
    for (const text of [`${n} a`, `${n} b`]) {
      assert.equal((await send(t, ada, ben, text, urls)).outcome, "stored", text);
    }
    await one.kill();
    assert.deepEqual(await listen(t, ben, 2, others), [`${n} a`, `${n} b`]);
    // The other way round, while it is dead.
    assert.equal((await send(t, ben, ada, `${n} c`, others)).outcome, "stored");
    assert.deepEqual(await listen(t, ada, 1, others), [`${n} c`]);
    const sibling = all[(n + 1) % 3] as Signaler;
    const again = await Signaler.start(t, {
      args: ["--open", "--sibling", sibling.url],
      dir: one.dir,
      port: one.port,
    });
    all[n] = again;
    for (const each of all) await each.siblings(2);
  }
});

test("c5_signalers_come_and_go_for_good_while_mail_waits_and_nothing_is_lost_doubled_or_overtaken", async (t) => {
  const living = [await Signaler.start(t, { args: ["--open"] })];
  const join = async (): Promise<void> => {
    const known = living.flatMap(({ url }) => ["--sibling", url]);
    living.push(await Signaler.start(t, { args: ["--open", ...known] }));
    for (const one of living) await one.siblings(living.length - 1);
  };
  await join();
  await join();
  const [ada, ben] = [await friend(t, living, 1), await friend(t, living, 2)];
  const written: string[] = [];
  const write = async (): Promise<void> => {
    for (let n = 0; n < 4; n += 1) {
      const text = `${written.length}`;
      written.push(text);
      const urls = living.map(({ url }) => url);
      assert.equal((await send(t, ada, ben, text, urls, "--timeout", "60")).outcome, "stored", text);
    }
  };
  const [shown, urls] = [[] as string[], () => living.map(({ url }) => url)];
  await write();
  // Of five, three keep what is ben's: not the three of before, or not in that order.
  await join();
  await join();
  await write();
  await (living.shift() as Signaler).kill();
  await write();
  const leaving = living.shift() as Signaler;
  leaving.process.kill("SIGTERM");
  await leaving.ended();
  await write();
  // Some are taken in between; what is taken does not come back with those who join.
  shown.push(...(await listen(t, ben, 6, urls())));
  await join();
  await write();
  await (living.shift() as Signaler).kill();
  await write();
  while (shown.length < written.length) shown.push(...(await listen(t, ben, 1, urls())));
  assert.deepEqual(shown, written);
  // And the other way, from the signaler that came last.
  const answer = await send(t, ben, ada, "an answer", urls().slice(-1), "--timeout", "60");
  assert.equal(answer.outcome, "stored");
  assert.deepEqual(await listen(t, ada, 1, urls().slice(0, 1)), ["an answer"]);
});

test("c8_weft_send_waits_for_the_receipt_if_it_is_told_to_and_says_how_far_it_came", async (t) => {
  const signaler = await Signaler.start(t);
  const signalers = [signaler.url];
  const [ada, ben] = [await friend(t, [signaler], 1), await friend(t, [signaler], 2)];
  const late = await send(t, ada, ben, "one", signalers, "--until", "delivered", "--timeout", "8");
  assert.deepEqual([late.outcome, late.code], ["stored", 4]);
  const listener = Weft.start(t, "listen", [], { signalers, party: "home", data: ben.data });
  await listener.line("what waited", (line) => line.data?.text === "one");
  const soon = await send(t, ada, ben, "two", signalers, "--until", "delivered", "--timeout", "15");
  assert.deepEqual([soon.outcome, soon.code], ["delivered", 0]);
  assert.deepEqual(
    listener.lines.map(({ json }) => json.data.text),
    ["one", "two"],
  );
  // Not at all, if it may not wait.
  listener.process.kill("SIGTERM");
  await listener.ended();
  const none = await send(t, ada, ben, "three", signalers, "--expires", "0", "--timeout", "3");
  assert.deepEqual([none.outcome, none.code], ["unreachable", 3]);
});

test("c10_what_is_too_large_to_wait_and_what_the_mailbox_has_no_room_for_are_errors_of_their_own", async (t) => {
  const toml = "[limits]\nmailbox_envelopes = 3\nmailbox_envelopes_per_sender = 2\n";
  const signaler = await Signaler.start(t, { toml });
  const signalers = [signaler.url];
  const [ada, ben] = [await friend(t, [signaler], 1), await friend(t, [signaler], 2)];
  const large = await send(t, ada, ben, "x".repeat(100_000), signalers, "--timeout", "4");
  assert.equal(large.outcome, "stored");
  assert.equal((await send(t, ada, ben, "one", signalers)).outcome, "stored");
  const full = await send(t, ada, ben, "two", signalers);
  assert.deepEqual([full.outcome, full.code], ["sender-full", 3]);
  const cyd = await friend(t, [signaler], 3);
  assert.equal((await send(t, cyd, ben, "three", signalers)).outcome, "stored");
  assert.equal((await send(t, cyd, ben, "four", signalers)).outcome, "mailbox-full");
  assert.deepEqual((await listen(t, ben, 3, signalers)).slice(1), ["one", "three"]);
});
