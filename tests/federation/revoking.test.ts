/** The peers of one's own identity by the shipped command, and revoking one that was lost. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { directory, run, Signaler, until } from "./signaler.ts";
import { PROGRAM, Weft } from "./weft.ts";

interface OwnPeer {
  readonly peer: string;
  readonly this: boolean;
  readonly connected: boolean;
}

/** An export of an identity, for another directory. */
async function exported(t: TestContext, data: string): Promise<{ file: string; secret: string[] }> {
  const dir = directory(t);
  const [file, secret] = [join(dir, "ada.weft"), join(dir, "secret")];
  writeFileSync(secret, "correct horse\n");
  const words = ["--passphrase-file", secret];
  const { code, err } = await run(PROGRAM, ["export", "--data", data, ...words, file]);
  assert.equal(code, 0, err);
  return { file, secret: words };
}

const listen = (t: TestContext, data: string, signaler: Signaler): Weft =>
  Weft.start(t, "listen", [], { signalers: [signaler.url], party: "home", data });

/** Waits until so many mailboxes are open. */
async function mailboxes(signaler: Signaler, wanted: (open: number) => boolean): Promise<void> {
  const open = async () => (await signaler.metrics()).get("weft_mailboxes") ?? 0;
  await until("mailboxes", open, wanted);
}

async function own(t: TestContext, data: string, signaler: Signaler): Promise<OwnPeer[]> {
  const ran = await Weft.run(t, "peers", ["--own", "--json"], { signalers: [signaler.url], data });
  assert.equal(ran.code, 0, ran.err);
  const lines = ran.out.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as OwnPeer);
}

test("a_lost_place_is_listed_and_revoked_and_says_so_and_what_is_written_reaches_the_other_only", async (t) => {
  const signaler = await Signaler.start(t);
  const signalers = [signaler.url];
  const [phone, laptop, ben] = [directory(t), directory(t), directory(t)];
  const identity = await Weft.identity(phone);
  const { file, secret } = await exported(t, phone);
  assert.equal((await run(PROGRAM, ["import", "--data", laptop, ...secret, file])).code, 0);
  const first = listen(t, phone, signaler);
  await mailboxes(signaler, (open) => open >= 1);
  await first.interrupt();
  const lost = listen(t, laptop, signaler);
  await mailboxes(signaler, (open) => open >= 2);
  const peer = await Weft.peer(laptop);

  const listed = await own(t, phone, signaler);
  assert.deepEqual(listed.map((one) => one.peer).sort(), [await Weft.peer(phone), peer].sort());
  assert.equal(listed.find((one) => one.this)?.peer, await Weft.peer(phone));
  const people = await Weft.run(t, "peers", ["--own"], { signalers, data: phone });
  assert.ok(people.out.includes(peer) && people.out.includes("this one"), people.out);

  const done = await Weft.run(t, "revoke", [peer], { signalers, data: phone });
  assert.deepEqual([done.code, JSON.parse(done.out)], [0, { peer, outcome: "revoked" }], done.err);
  const after = await own(t, phone, signaler);
  assert.ok(!after.some((one) => one.peer === peer), JSON.stringify(after));

  // It meets the phone, is shown the statement, and ends.
  const second = listen(t, phone, signaler);
  assert.deepEqual(await lost.ended(), { code: 5, signal: null }, lost.log);
  assert.match(lost.log, /revoked by its identity/);
  await second.interrupt();

  const sent = await Weft.run(t, "send", [identity, "for the phone"], {
    signalers,
    party: "elsewhere",
    data: ben,
  });
  assert.equal((JSON.parse(sent.out) as { outcome: string }).outcome, "stored", sent.err);
  const again = listen(t, laptop, signaler);
  assert.deepEqual(await again.ended(), { code: 5, signal: null }, again.log);
  assert.match(again.log, /was revoked by its identity.*weft import/);
  assert.equal(again.lines.length, 0);
  const third = listen(t, phone, signaler);
  await third.line("the message", ({ data }) => data?.text === "for the phone");
  await third.interrupt();

  // Taken in again, it is another peer.
  assert.equal((await run(PROGRAM, ["import", "--data", laptop, ...secret, file])).code, 0);
  const anew = listen(t, laptop, signaler);
  await until(
    "another peer in the list",
    () => own(t, phone, signaler),
    (list) => list.length >= 2 && list.every((one) => one.peer !== peer),
  );
  await anew.interrupt();
});

test("without_a_signaler_listing_and_revoking_say_so_and_a_wrong_peer_is_refused", async (t) => {
  const signaler = await Signaler.start(t);
  const data = directory(t);
  await Weft.identity(data);
  const other = directory(t);
  const heard = listen(t, other, signaler);
  await mailboxes(signaler, (open) => open >= 1);
  await heard.interrupt();
  const peer = await Weft.peer(other);
  const signalers = [signaler.url];
  const first = await Weft.run(t, "revoke", ["z6Mk"], { signalers, data });
  assert.equal(first.code, 1, first.err);
  assert.match(first.err, /nobody is registered/);
  await signaler.kill();
  const late = await Weft.run(t, "revoke", [peer, "--timeout", "1"], { signalers, data });
  assert.equal(late.code, 4, late.err);
  const none = await Weft.run(t, "peers", ["--own", "--timeout", "1"], { signalers, data });
  assert.equal(none.code, 4, none.err);
});
