/** Messages whose receipts are lost, and recipients that do not answer: a page in Chromium and the `weft` command. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { directory, Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { From, To } from "../federation/wire/peer.ts";
import { Lab, type Peer } from "./browser.ts";
import { Tap } from "./tap.ts";

/** Nothing connects and nothing is forwarded: messages go through the signaler, one frame each. */
const NO_LINKS = { rtc: { iceTransportPolicy: "relay" }, limits: { forwardedLinks: 0 } };
/** Larger than anything else that the two send each other there, so that copies can be counted from outside. */
const TEXT = "x".repeat(8_000);
/** Copies of a message that are sent before a receipt arrives, at least. */
const COPIES = 2;

const kindOf = (payload: Buffer) => (payload[0] === 0x82 ? payload[1] : undefined);

/**
 * From the first copy of a message on whoever is behind this tap gets no envelope, until one was lost and the message was
 * sent again.
 */
function loseReceipts(tap: Tap): { announced: boolean; copies: number; lost: number } {
  const seen = { announced: false, copies: 0, lost: 0 };
  tap.sent = (payload) => {
    if (kindOf(payload) === To.Announce) seen.announced = true;
    if (kindOf(payload) === To.Forward && payload.length > TEXT.length) seen.copies += 1;
  };
  tap.lose = (payload) => {
    const waits = seen.copies > 0 && (seen.copies < COPIES || seen.lost === 0);
    if (!waits || kindOf(payload) !== From.Deliver) return false;
    seen.lost += 1;
    return true;
  };
  return seen;
}

/** A page in the party, and the command that listens there; it comes later, so that the page is told who it is. */
async function pageAndListener(
  t: TestContext,
  signaler: Signaler,
  url: string,
  options: Record<string, unknown> = {},
): Promise<{ page: Peer; listener: Weft; identity: string }> {
  const lab = await Lab.open(t);
  const page = await lab.page();
  await page.start({ signalers: [url], ...options });
  await page.join("mail");
  // Joining does not wait for the signaler.
  const entries = async () => (await signaler.metrics()).get("weft_entries");
  await until("the page at the signaler", entries, (count) => count === 1);
  const data = directory(t);
  const identity = await Weft.identity(data);
  const listener = Weft.start(t, "listen", [], { signalers: [signaler.url], party: "mail", data });
  await page.until(`mesh.parties.mail.peers().some(({ identity }) => identity === "${identity}")`);
  return { page, listener, identity };
}

test("d10_a_page_whose_receipts_are_lost_sends_again_and_is_told_and_the_command_prints_one_message", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const { page, listener, identity } = await pageAndListener(t, signaler, tap.url, NO_LINKS);
  const seen = loseReceipts(tap);
  assert.equal(await page.send(identity, { n: 1, text: TEXT }), "delivered");
  assert.ok(seen.copies >= COPIES, `${seen.copies} copies were sent`);
  assert.ok(seen.lost >= 1, "receipts were lost");
  assert.equal(await page.send(identity, { n: 2 }), "delivered");
  await listener.count(2);
  assert.deepEqual(
    listener.lines.map(({ json }) => json.data.n),
    [1, 2],
    "each once",
  );
});

test("d10_a_command_whose_receipts_are_lost_sends_again_and_is_told_and_the_page_gets_one_message", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const lab = await Lab.open(t);
  const page = await lab.page();
  // Without a mailbox: what is left there need not be sent again.
  await page.start({ signalers: [signaler.url], store: "memory", ...NO_LINKS });
  const seen = loseReceipts(tap);
  const options = { signalers: [tap.url], party: "mail" };
  const words = [page.identity, JSON.stringify({ text: TEXT }), "--until", "delivered"];
  const command = Weft.start(t, "send", words, options);
  // The page comes when the command is there, so that the command is told who it is.
  await until(
    "announcement of the command",
    () => seen.announced,
    (there) => there,
  );
  await page.join("mail");
  const { json } = await command.line("the outcome", () => true);
  assert.equal(json.outcome, "delivered");
  assert.equal((await command.ended()).code, 0, command.log);
  assert.ok(seen.copies >= COPIES, `${seen.copies} copies were sent`);
  assert.ok(seen.lost >= 1, "receipts were lost");
  assert.equal(await page.look("mesh.seen.messages.length"), 1);
});

test("d10_a_message_to_a_paused_command_over_a_link_is_sent_again_and_confirmed_when_it_goes_on", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const { page, listener, identity } = await pageAndListener(t, signaler, tap.url);
  await page.until("mesh.openLinks().length === 1");
  // There is a session: without one there would be nothing to send yet but the wish for one.
  assert.equal(await page.send(identity, { n: 0 }), "delivered");
  await listener.pause();
  const seen = loseReceipts(tap);
  let ended = "not yet";
  const outcome = page.send(identity, { n: 1, text: TEXT }).then((how) => {
    ended = how;
    return how;
  });
  // Whoever hears nothing over the link tries the signaler, too.
  await until(
    "copy through the signaler",
    async () => ({
      ...seen,
      ended,
      heard: listener.lines.length,
      links: await page.look("mesh.openLinks()"),
      diagnosis: await page.look("mesh.weft.diagnose()"),
    }),
    ({ copies }) => copies >= 1,
  );
  listener.resume();
  assert.equal(await outcome, "delivered");
  assert.equal(await page.send(identity, { n: 2 }), "delivered");
  await listener.count(3);
  assert.deepEqual(
    listener.lines.map(({ json }) => json.data.n),
    [0, 1, 2],
    "each once",
  );
});

test("d10_a_recipient_that_does_not_answer_is_an_error_after_ten_seconds_for_page_and_command", async (t) => {
  const signaler = await Signaler.start(t);
  const { page, listener, identity } = await pageAndListener(t, signaler, signaler.url);
  await page.until("mesh.openLinks().length === 1");
  await listener.pause();
  const timed = async <T>(outcome: Promise<T>) => {
    const since = performance.now();
    return { outcome: await outcome, took: performance.now() - since };
  };
  const options = { signalers: [signaler.url], party: "mail" };
  const [ofPage, ofCommand] = await Promise.all([
    timed(page.send(identity, { text: "hello?" }, { expires: 0 })),
    timed(Weft.run(t, "send", [identity, "hello?", "--expires", "0"], options)),
  ]);
  assert.equal(ofPage.outcome, "unreachable");
  assert.equal(ofCommand.outcome.code, 3, ofCommand.outcome.err);
  const said = JSON.parse(ofCommand.outcome.out) as { outcome: string; reason: string };
  assert.equal(said.outcome, "unreachable");
  assert.match(said.reason, /10 s/);
  for (const { took } of [ofPage, ofCommand]) assert.ok(took >= 9_900 && took < 13_000, `after ${took} ms`);
  assert.equal(listener.lines.length, 0);
});
