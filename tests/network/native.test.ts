/** The `weft` command behind NATs: STUN servers tell it where the outside sees it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Coturn } from "../e2e/coturn.ts";
import { Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { type Home, Internet, NO_INTERNET } from "./internet.ts";
import { page } from "./pages.ts";

/** How a command in a home sees the way to the one other peer. */
async function path(t: TestContext, home: Home, signaler: string, stun: readonly string[]): Promise<string> {
  const args = ["--timeout", "25", ...stun.flatMap((url) => ["--stun", url])];
  const options = { signalers: [signaler], party: "p", address: undefined, within: home.within };
  const { code, out, err } = await Weft.run(t, "diagnose", args, options);
  assert.equal(code, 0, err);
  const [only, ...more] = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(more.length, 0, out);
  return only.path;
}

test("d14_two_commands_behind_nats_link_directly_with_stun_and_not_without", {
  skip: NO_INTERNET,
}, async (t) => {
  const internet = Internet.open(t);
  const coturn = await Coturn.start(t, internet.host);
  const signaler = await Signaler.start(t, { host: internet.host });
  const homes = [internet.home("restricted-cone"), internet.home("restricted-cone")] as const;
  const there = { signalers: [signaler.url], party: "p", address: undefined, within: homes[0].within };
  const listening = Weft.start(t, "subscribe", ["--stun", coturn.stun, "{}"], there);
  assert.equal(await path(t, homes[1], signaler.url, [coturn.stun]), "direct");
  await listening.interrupt();
  Weft.start(t, "subscribe", ["{}"], there);
  assert.equal(await path(t, homes[1], signaler.url, []), "forwarded");
});

test("d14_a_command_behind_a_nat_links_with_a_page_behind_a_symmetric_one_over_the_turn_server_of_the_signaler", {
  skip: NO_INTERNET,
}, async (t) => {
  const internet = Internet.open(t);
  const coturn = await Coturn.start(t, internet.host);
  const signaler = await Signaler.start(t, {
    host: internet.host,
    args: ["--turn", coturn.url],
    env: { WEFT_TURN_SECRET: coturn.secret },
  });
  const [home, symmetric] = [internet.home("restricted-cone"), internet.home("symmetric")];
  const browser = await page(t, internet, symmetric);
  await browser.start({ signalers: [signaler.url] });
  await browser.enter("p", {});
  assert.equal(await path(t, home, signaler.url, []), "direct");
});
