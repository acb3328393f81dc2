/** Links that a TURN server relays, because the page allows no others. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab, type Peer, USED, type Used } from "./browser.ts";
import { Coturn } from "./coturn.ts";

const RELAY_ONLY = { iceTransportPolicy: "relay" };

/** Two pages that use nothing but relays exchange documents both ways. */
async function exchange(t: TestContext, options: Record<string, unknown>): Promise<[Peer, Peer]> {
  const lab = await Lab.open(t);
  const [a, b] = [await lab.page(), await lab.page()];
  for (const page of [a, b]) {
    await page.start({ ...options, rtc: RELAY_ONLY });
    await page.enter("p", {});
  }
  await a.linked(b);
  await b.linked(a);
  await a.publish("p", { from: "a" });
  await b.publish("p", { from: "b" });
  assert.deepEqual((await b.got("p", 1))[0]?.data, { from: "a" });
  assert.deepEqual((await a.got("p", 1))[0]?.data, { from: "b" });
  for (const page of [a, b]) {
    assert.deepEqual((await page.look<Used>(USED)).kinds, ["relay", "relay"]);
  }
  return [a, b];
}

test("d14_with_turn_only_data_flows_over_servers_that_the_application_names", async (t) => {
  const coturn = await Coturn.start(t);
  const signaler = await Signaler.start(t);
  await exchange(t, { signalers: [signaler.url], iceServers: coturn.servers() });
  assert.match(coturn.log, /:tests>.*ALLOCATE processed, success/);
});

test("d14_with_turn_only_data_flows_over_servers_that_the_signaler_names", async (t) => {
  const coturn = await Coturn.start(t);
  const signaler = await Signaler.start(t, {
    args: ["--turn", coturn.url],
    env: { WEFT_TURN_SECRET: coturn.secret },
  });
  await exchange(t, { signalers: [signaler.url] });
  assert.match(coturn.log, /:weft>.*ALLOCATE processed, success/);
  const { log } = signaler;
  assert.ok(!log.includes(coturn.secret), "the secret is in no log");
});

test("d14_a_credential_that_has_expired_opens_no_link_and_the_page_says_why", async (t) => {
  const coturn = await Coturn.start(t);
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const pages = [await lab.page(), await lab.page()];
  for (const page of pages) {
    await page.start({
      signalers: [signaler.url],
      iceServers: coturn.servers(-60),
      rtc: RELAY_ONLY,
      limits: { forwardedLinks: 0 },
    });
    await page.join("p");
  }
  const closed = `mesh.seen.links.find(({ state }) => state === "closed")`;
  await pages[0]?.until(`${closed} !== undefined`, 60_000);
  assert.equal(await pages[0]?.look("mesh.openLinks().length"), 0);
  assert.match(coturn.log, /401|Unauthorized|Cannot find credentials/);
  const [said] = await (pages[0] as Peer).look<{ cause: string; advice: string }[]>("mesh.weft.diagnose()");
  assert.equal(said?.cause, "no-address");
  assert.match(said?.advice ?? "", /credentials/);
});

test("wrong_turn_settings_are_errors_that_say_what_to_do", async (t) => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--turn", "turn:a:1"], /--turn-secret/],
    [["--turn", "http://a", "--turn-secret", "s"], /a TURN server is written as in turn:/],
    [["--turn", "turn:a:1", "--turn-secret", ""], /need a secret/],
  ];
  for (const [args, says] of wrong) {
    const ran = await Signaler.run(t, { args });
    assert.notEqual(ran.code, 0);
    assert.match(ran.err, says);
  }
  const toml = '[turn]\nurls = ["turn:a:1"]\nsecret = "s"\nlife_s = 5\n';
  assert.match((await Signaler.run(t, { toml })).err, /life_s: at least 60/);
});
