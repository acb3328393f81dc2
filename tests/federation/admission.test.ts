/** Who may be a sibling, and how a signaler is told of its siblings. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { directory, HASTY, Signaler, until } from "./signaler.ts";
import { closeCode } from "./wire/codes.ts";
import { Key, same } from "./wire/keys.ts";
import { Peer } from "./wire/peer.ts";
import { Said, Sibling } from "./wire/sibling.ts";

test("a_signaler_that_is_not_open_admits_nobody_it_was_not_told_of", async (t) => {
  const a = await Signaler.start(t);
  const stranger = await Sibling.call(a.url);
  assert.equal(await stranger.refusal(), "not-admitted");
  assert.equal((await stranger.closed).code, closeCode("not-admitted"));
  assert.equal((await a.metrics()).refused("not-admitted"), 1);
  assert.match(a.log, /not-admitted/);
  // The same as a shipped signaler: it is told, tells its operator, and goes on serving its own peers.
  const b = await Signaler.start(t, { toml: HASTY, args: ["--sibling", a.url] });
  await until(
    "a line about the refusal",
    () => b.log,
    (log) => log.includes("not-admitted"),
  );
  await b.siblings(0);
  const peer = await Peer.connect(b.url);
  assert.deepEqual(await peer.announce(randomBytes(32)), []);
});

test("a_sibling_that_cannot_prove_its_key_is_refused", async (t) => {
  const a = await Signaler.start(t, { args: ["--open"] });
  const forger = await Sibling.call(a.url, new Key(), new Key());
  assert.equal(await forger.refusal(), "bad-signature");
  assert.equal((await forger.closed).code, closeCode("bad-signature"));
  assert.equal((await a.metrics()).refused("bad-signature"), 1);
  // Nor may one that has proved nothing say anything.
  const early = await Sibling.call(a.url);
  await early.inbox.take(Said.Admitted);
  const { fields } = { fields: (await a.health()).siblings };
  assert.equal(fields.filter((sibling) => sibling.up).length, 0);
});

test("siblings_named_by_id_and_url_in_toml_federate_and_no_other_does", async (t) => {
  const dir = directory(t);
  const printed = await Signaler.run(t, { dir, args: ["--print-id"] });
  assert.equal(printed.code, 0);
  const id = printed.out.trim();
  const a = await Signaler.start(t);
  // The one waits to be called by a key, the other calls a key at a URL.
  const b = await Signaler.start(t, {
    dir,
    toml: `[[sibling]]\nid = "${a.idText}"\nurl = "${a.url}"\n${HASTY}`,
  });
  assert.equal(b.idText, id);
  await b.siblings(0);
  const other = await Signaler.start(t, {
    toml: `[[sibling]]\nid = "${id}"\n`,
    dir: a.dir,
    port: await stopped(a),
  });
  assert.equal(other.idText, a.idText, "a restart on the same database is the same signaler");
  await Promise.all([b.siblings(1), other.siblings(1)]);
  const stranger = await Sibling.call(other.url);
  assert.equal(await stranger.refusal(), "not-admitted");
});

test("two_that_name_each_other_by_url_pin_each_other_and_still_know_after_a_restart", async (t) => {
  const first = await Signaler.start(t, { toml: HASTY });
  const second = await Signaler.start(t, { toml: HASTY, args: ["--sibling", first.url] });
  const [portOfFirst, portOfSecond] = [await stopped(first), second.port];
  const again = await Signaler.start(t, {
    dir: first.dir,
    port: portOfFirst,
    toml: HASTY,
    args: ["--sibling", `ws://127.0.0.1:${portOfSecond}`],
  });
  await Promise.all([again.siblings(1), second.siblings(1)]);
  const [one, two] = [await Peer.connect(again.url), await Peer.connect(second.url)];
  const discovery = randomBytes(32);
  await one.announce(discovery);
  const listed = await two.announce(discovery);
  assert.ok(same((await one.joined(two.id)).entry.home, second.id));
  if (listed.length === 0) await two.joined(one.id);

  // Another signaler in its place, at the same address, is not taken for it.
  await again.kill();
  const impostor = await Signaler.start(t, { port: portOfFirst, toml: HASTY, args: ["--open"] });
  await until(
    "a line about the impostor",
    () => second.log,
    (log) => log.includes(impostor.idText.slice(0, 8)),
  );
  assert.equal((await second.health()).siblings.filter((sibling) => sibling.up).length, 0);
  // Not even after a restart: the pin is kept with the keys.
  await second.stop();
  const later = await Signaler.start(t, {
    dir: second.dir,
    toml: HASTY,
    args: ["--sibling", `ws://127.0.0.1:${portOfFirst}`],
  });
  await until(
    "a line about the impostor",
    () => later.log,
    (log) => log.includes(impostor.idText.slice(0, 8)),
  );
  assert.equal((await later.health()).siblings.filter((sibling) => sibling.up).length, 0);
  await impostor.stop();
  await Signaler.start(t, {
    dir: first.dir,
    port: portOfFirst,
    toml: HASTY,
    args: ["--sibling", `ws://127.0.0.1:${portOfSecond}`, "--sibling", later.idText],
  });
  await later.siblings(1);
});

test("a_signaler_whose_sibling_is_its_own_url_says_so", async (t) => {
  const first = await Signaler.start(t, { toml: HASTY });
  const port = await stopped(first);
  const url = `ws://127.0.0.1:${port}`;
  const a = await Signaler.start(t, { dir: first.dir, port, toml: HASTY, args: ["--sibling", url] });
  await until(
    "a line about it",
    () => a.log,
    (log) => /own/.test(log) && log.includes(url),
  );
  await a.siblings(0);
});

test("two_that_call_each_other_at_once_keep_one_link", async (t) => {
  const first = await Signaler.start(t, { toml: HASTY, args: ["--open"] });
  const second = await Signaler.start(t, { toml: HASTY, args: ["--open", "--sibling", first.url] });
  const port = await stopped(first);
  const again = await Signaler.start(t, {
    dir: first.dir,
    port,
    toml: HASTY,
    args: ["--open", "--sibling", second.url],
  });
  await Promise.all([again.siblings(1), second.siblings(1)]);
  const connections = async () => [(await again.health()).connections, (await second.health()).connections];
  await until("one connection at each", connections, (counts) => counts.every((count) => count === 1));
});

test("a_sibling_that_forges_entries_is_struck_out_and_they_are_not_believed", async (t) => {
  const a = await Signaler.start(t, { args: ["--open"] });
  const discovery = randomBytes(32);
  const [watcher, author] = [await Peer.connect(a.url), await Peer.connect(a.url)];
  await watcher.announce(discovery);
  const forger = await Sibling.join(a.url);
  const victim = new Key();
  const forged = author.entry(discovery, { peer: victim.id, home: forger.key.id, signer: new Key() });
  for (let n = 0; n < 3; n += 1) forger.send(Said.Entries, [0, [forged]]);
  assert.equal((await forger.closed).code, closeCode("bad-signature"));
  // A true one, from a sibling that does not own it, is believed: whoever passes it on, its peer signed it.
  const honest = await Sibling.join(a.url);
  const genuine = author.entry(discovery, { peer: victim.id, home: honest.key.id, signer: victim });
  honest.send(Said.Entries, [0, [genuine]]);
  await watcher.joined(victim.id);
  assert.equal(watcher.told(5, victim.id), 1);
  assert.equal((await a.metrics()).get("weft_forged_entries_total"), 3);
});

/** Stops a signaler; its port is free then. */
async function stopped(signaler: Signaler): Promise<number> {
  assert.equal((await signaler.stop()).code, 0);
  return signaler.port;
}
