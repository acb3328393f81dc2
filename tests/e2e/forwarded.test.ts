/** Links that signalers forward, sealed, where no connection comes about. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { pair, Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";
import { Tap } from "./tap.ts";

/** Connections only over TURN, and there is no TURN server: none comes about. */
const NO_WAY = { iceTransportPolicy: "relay" };
const FORWARDED = `mesh.seen.links.some(({ state, forwarded }) => state === "open" && forwarded === true)`;

/** Pages, each at one of these signalers, between which signalers forward. */
async function pages(t: TestContext, signalers: readonly string[], party = "p"): Promise<Peer[]> {
  const lab = await Lab.open(t);
  const all: Peer[] = [];
  for (const url of signalers) {
    const page = await lab.page();
    await page.start({ signalers: [url], discover: false, rtc: NO_WAY });
    await page.enter(party, {});
    all.push(page);
  }
  for (const page of all) await page.until(FORWARDED, 20_000);
  return all;
}

// Most of it is waiting for connections that do not come about.
describe("links that signalers forward", { concurrency: 2 }, () => {
  test("d14_with_no_direct_path_and_no_turn_the_link_is_forwarded_by_the_signalers_sealed", async (t) => {
    // Two signalers that federate, each behind somebody who listens.
    const [first, second] = await pair(t);
    const taps = [await Tap.open(t, first.url), await Tap.open(t, second.url)] as const;
    const party = "a party whose name nobody guesses";
    const [a, b] = (await pages(t, [taps[0].url, taps[1].url], party)) as [Peer, Peer];
    const many = Array.from({ length: 200 }, (_, n) => ({ n, text: "what only the two of us know" }));
    await Promise.all([a.publish(party, ...many), b.publish(party, ...many)]);
    for (const page of [a, b]) {
      const rows = await page.got(party, many.length);
      assert.deepEqual(
        rows.map(({ data }) => data.n),
        many.map(({ n }) => n),
        "each once, in order",
      );
    }
    assert.equal(await a.send(b.identity, { text: "a message for one person" }), "delivered");
    await b.until("mesh.seen.messages.length === 1");
    assert.equal(await a.look("mesh.weft.stats().connections"), 0, "nothing is left of the attempts");

    // What is said about it, and that nobody on the way can read it.
    const [said] =
      await a.look<{ path: string; cause: string; text: string; advice: string }[]>("mesh.weft.diagnose()");
    assert.deepEqual([said?.path, said?.cause], ["forwarded", "no-address"]);
    assert.match(said?.text ?? "", /no address/);
    assert.notEqual(said?.advice, "");
    const passed = Buffer.concat(taps.map((tap) => tap.bytes));
    assert.ok(passed.length > 20_000, "the documents did pass here");
    for (const secret of ["what only the two of us know", "a message for one person", party]) {
      assert.ok(!passed.includes(secret), secret);
    }
  });

  test("a_document_of_a_megabyte_crosses_a_forwarded_link", async (t) => {
    const signaler = await Signaler.start(t);
    const [a, b] = (await pages(t, [signaler.url, signaler.url])) as [Peer, Peer];
    const text = "x".repeat(1_000_000);
    await a.publish("p", { text });
    const [row] = await b.got("p", 1);
    assert.equal(row?.data.text.length, text.length);
  });

  test("a_forwarded_link_outlives_its_signaler_and_goes_on_when_it_is_back", async (t) => {
    const signaler = await Signaler.start(t);
    const [a, b] = (await pages(t, [signaler.url, signaler.url])) as [Peer, Peer];
    await signaler.kill();
    await a.publish("p", { n: 1 });
    await a.until(`mesh.seen.signalers.at(-1).state === "lost"`);
    await Signaler.start(t, { dir: signaler.dir, port: signaler.port });
    await a.publish("p", { n: 2 });
    const rows = await b.got("p", 2);
    assert.deepEqual(
      rows.map(({ data }) => data.n),
      [1, 2],
    );
  });

  test("a_page_that_closes_is_gone_at_once_and_one_that_reloads_is_linked_again", async (t) => {
    const signaler = await Signaler.start(t);
    const [a, b, c] = (await pages(t, [signaler.url, signaler.url, signaler.url])) as [Peer, Peer, Peer];
    await b.page.evaluate("mesh.weft.close()");
    await a.until(
      `mesh.seen.links.some(({ peer, state }) => peer === "${b.id}" && state === "closed")`,
      3_000,
    );
    await c.page.reload();
    await c.page.waitForFunction("globalThis.mesh !== undefined");
    await c.start({ signalers: [signaler.url], rtc: NO_WAY });
    await c.enter("p", {});
    await c.until(FORWARDED, 30_000);
    await a.publish("p", { after: "reload" });
    assert.deepEqual((await c.got("p", 1))[0]?.data, { after: "reload" });
  });

  test("d14_the_weft_command_and_a_page_between_which_nothing_connects_are_forwarded", async (t) => {
    const signaler = await Signaler.start(t);
    const lab = await Lab.open(t);
    const page = await lab.page();
    await page.start({ signalers: [signaler.url], rtc: NO_WAY });
    await page.enter("p", {});
    const options = { signalers: [signaler.url], party: "p" };
    const native = Weft.start(t, "subscribe", ["{}"], options);
    await page.until(FORWARDED, 20_000);
    await page.publish("p", { n: 1 });
    assert.deepEqual((await native.line("the document", () => true)).json.data, { n: 1 });
    const diagnosed = await Weft.run(t, "diagnose", ["--timeout", "25"], options);
    assert.equal(diagnosed.code, 0, diagnosed.err);
    const lines = diagnosed.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const ofPage = lines.find(({ peer }) => peer === page.id);
    assert.equal(ofPage?.cause, "no-address");
    assert.match(ofPage?.text, /the other side has found no address/);
  });

  test("where_no_links_are_to_be_forwarded_none_is", async (t) => {
    const signaler = await Signaler.start(t);
    const lab = await Lab.open(t);
    const pages = [await lab.page(), await lab.page()];
    for (const page of pages) {
      await page.start({ signalers: [signaler.url], rtc: NO_WAY, limits: { forwardedLinks: 0 } });
      await page.enter("p", {});
    }
    await pages[0]?.until(`mesh.seen.links.some(({ state }) => state === "closed")`, 30_000);
    assert.equal(await pages[0]?.look("mesh.openLinks().length"), 0);
  });
});
