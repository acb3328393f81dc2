/** Mail that waits: pages that are closed, pages and commands that write to them meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { directory, Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

const texts = (peer: Peer): Promise<string[]> => peer.look("mesh.seen.messages.map(({ data }) => data.text)");
const states = (peer: Peer): Promise<string[]> => peer.look("mesh.seen.sent.map(({ state }) => state)");

/** Waits until so many mailboxes are open. */
async function mailboxes(signaler: Signaler, count: number): Promise<void> {
  const open = async () => (await signaler.metrics()).get("weft_mailboxes");
  await until("mailboxes", open, (open) => open >= count);
}

/** Sends, and is content when it is safe. */
const leave = (peer: Peer, to: string, text: string): Promise<string> =>
  peer.send(to, { text }, { until: "stored" });

test("c3_c4_c8_a_page_that_was_closed_gets_all_in_order_and_once_and_its_sender_is_told_though_it_was_closed_too", async (t) => {
  let signaler = await Signaler.start(t);
  const { dir, port, url } = signaler;
  const lab = await Lab.open(t);
  const options = { signalers: [url] };
  const [ada, ben] = [await lab.page(), await lab.page()];
  await ada.start(options);
  await ben.start(options);
  await mailboxes(signaler, 2);
  await ben.page.close();

  for (const text of ["one", "two", "three"]) assert.equal(await leave(ada, ben.identity, text), "stored");
  assert.deepEqual(await states(ada), ["stored", "stored", "stored"]);
  await ada.page.close();
  await signaler.kill();
  signaler = await Signaler.start(t, { dir, port });

  const again = await lab.page(ben.context);
  await again.start(options);
  assert.deepEqual([again.identity, again.id], [ben.identity, ben.id]);
  await again.until("mesh.seen.messages.length >= 3");
  assert.deepEqual(await texts(again), ["one", "two", "three"]);
  assert.equal(await leave(again, ada.identity, "and to you"), "stored");
  await again.until("mesh.weft.stats().unstored === 0");
  await again.page.close();

  const back = await lab.page(ada.context);
  await back.start(options);
  await back.until("mesh.seen.sent.length >= 3 && mesh.seen.messages.length >= 1");
  assert.deepEqual(await states(back), ["delivered", "delivered", "delivered"]);
  assert.deepEqual(await texts(back), ["and to you"]);
  // Nothing comes again.
  await back.until("mesh.weft.stats().unstored === 0");
  await back.page.reload();
  await back.page.waitForFunction("globalThis.mesh !== undefined");
  await back.start(options);
  const third = await lab.page(ben.context);
  await third.start(options);
  await third.until(`mesh.seen.sent.some(({ state }) => state === "delivered")`);
  assert.deepEqual([await texts(back), await texts(third)], [[], []]);
});

test("c3_a_page_that_takes_no_messages_leaves_them_for_one_that_does", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const [ada, ben] = [await lab.page(), await lab.page()];
  await ada.start(options);
  await ben.start(options);
  await mailboxes(signaler, 2);
  await ben.page.close();
  assert.equal(await leave(ada, ben.identity, "one"), "stored");
  const deaf = await lab.page(ben.context);
  const start = `import("weft-mesh").then(({ connect }) => connect(${JSON.stringify(options)})).then((weft) => (mesh.weft = weft, weft.peer))`;
  assert.equal(await deaf.look(start), ben.id);
  // It is told that mail waits, and does nothing about it.
  await deaf.until(`mesh.weft.signalers().some(({ state }) => state === "connected")`);
  assert.equal(await leave(ada, ben.identity, "two"), "stored");
  await deaf.until("mesh.weft.stats().unstored === 0");
  assert.equal((await signaler.metrics()).get("weft_mail"), 2);
  await deaf.page.close();
  const again = await lab.page(ben.context);
  await again.start(options);
  await again.until("mesh.seen.messages.length >= 2");
  assert.deepEqual(await texts(again), ["one", "two"]);
});

test("c4_c8_a_page_writes_to_a_command_that_is_not_there_and_a_command_to_a_page_that_is_closed", async (t) => {
  const signaler = await Signaler.start(t);
  const signalers = [signaler.url];
  const lab = await Lab.open(t);
  const page = await lab.page();
  await page.start({ signalers });
  const data = directory(t);
  const identity = await Weft.identity(data);
  const options = { signalers, party: "mail", data };
  const first = Weft.start(t, "listen", [], options);
  await mailboxes(signaler, 2);
  first.process.kill("SIGTERM");
  await first.ended();

  assert.equal(await leave(page, identity, "to the command"), "stored");
  await page.page.close();
  const sent = await Weft.run(t, "send", [page.identity, "to the page"], options);
  assert.equal((JSON.parse(sent.out) as { outcome: string }).outcome, "stored");

  const listener = Weft.start(t, "listen", ["--count", "1"], options);
  const { json } = await listener.line("what waited", () => true);
  assert.deepEqual([json.data.text, json.from], ["to the command", page.identity]);
  await listener.ended();
  const again = await lab.page(page.context);
  await again.start({ signalers });
  await again.until("mesh.seen.messages.length >= 1 && mesh.seen.sent.length >= 1");
  assert.deepEqual([await texts(again), await states(again)], [["to the page"], ["delivered"]]);
});

test("c11_two_tabs_of_one_identity_each_get_what_waits_and_a_page_without_a_store_can_write_all_the_same", async (t) => {
  const signaler = await Signaler.start(t);
  const signalers = [signaler.url];
  const lab = await Lab.open(t);
  const one = await lab.page();
  await one.start({ signalers });
  const other = await lab.page(one.context);
  await other.start({ signalers });
  assert.equal(one.identity, other.identity);
  await mailboxes(signaler, 2);
  await Promise.all([one.page.close(), other.page.close()]);
  const stranger = await lab.page();
  await stranger.start({ signalers, store: "memory" });
  assert.equal(await leave(stranger, one.identity, "to both"), "stored");
  assert.equal((await signaler.metrics()).get("weft_mailboxes"), 2, "who stores nothing has no mailbox");
  for (let n = 0; n < 2; n += 1) {
    const tab = await lab.page(one.context);
    await tab.start({ signalers });
    await tab.until("mesh.seen.messages.length >= 1");
    assert.deepEqual(await texts(tab), ["to both"]);
  }
});

test("c8_c10_what_cannot_wait_is_told_as_an_error_of_its_own", async (t) => {
  const toml = "[limits]\nmailbox_envelopes_per_sender = 1\n";
  const signaler = await Signaler.start(t, { toml });
  const signalers = [signaler.url];
  const lab = await Lab.open(t);
  const [ada, ben] = [await lab.page(), await lab.page()];
  await ada.start({ signalers, limits: { messageTimeout: 4000 } });
  await ben.start({ signalers });
  await mailboxes(signaler, 2);
  await ben.page.close();
  assert.equal(await ada.send(ben.identity, { text: "x".repeat(200_000) }, { until: "stored" }), "too-large");
  assert.equal(await ada.send(ben.identity, { text: "now" }, { expires: 0 }), "unreachable");
  assert.equal(await leave(ada, ben.identity, "one"), "stored");
  assert.equal(await leave(ada, ben.identity, "two"), "sender-full");
  assert.equal(await ada.send(ben.identity, { text: "three" }, { until: "later" }), "bad-option");
  assert.equal(await ada.send(ben.identity, { text: "three" }, { expires: -1 }), "bad-option");
});
