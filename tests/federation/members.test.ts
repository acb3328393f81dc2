/** The federation's members: found from one address, kept over restarts, gone from every list once they are dead. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Signaler, type SignalerOptions, until } from "./signaler.ts";
import { Key, show, signCard } from "./wire/keys.ts";
import { Peer } from "./wire/peer.ts";
import { Sibling, Standing } from "./wire/sibling.ts";

/** Limits with which the dead are known within some seconds. Milliseconds. */
const QUICK = `[limits]
probe_ms = 300
suspect_ms = 1500
redial_min_ms = 100
redial_max_ms = 500
`;

/** An open signaler that was told of one address, or of none. */
async function member(t: TestContext, call?: string, more: SignalerOptions = {}): Promise<Signaler> {
  const args = ["--open", ...(call === undefined ? [] : ["--sibling", call])];
  return await Signaler.start(t, { toml: QUICK, ...more, args });
}

/** Waits until each of these is linked with all others and knows just these as living members. */
async function complete(among: readonly Signaler[], within = 30_000): Promise<void> {
  for (const one of among) {
    const others = among.filter((other) => other !== one).map((other) => other.idText);
    const wanted = JSON.stringify(others.sort());
    const sees = async () => {
      const { members, siblings } = await one.health();
      const active = members.filter((other) => other.active).map((other) => other.id);
      const up = siblings.filter((other) => other.up).map((other) => other.id ?? "");
      return [JSON.stringify(active.sort()), JSON.stringify(up.sort())];
    };
    await until(
      `all of ${wanted} at ${one.url}`,
      sees,
      (seen) => seen.every((list) => list === wanted),
      within,
    );
  }
}

test("c1_one_address_leads_to_all_survives_a_restart_and_the_dead_leave_everywhere", async (t) => {
  const first = await member(t);
  const others = await Promise.all([1, 2, 3, 4].map(() => member(t, first.url)));
  const all = [first, ...others];
  await complete(all);

  // A fresh peer that has the address of one is told of all, each by its own signature.
  const [b, c, d, e] = others;
  assert.ok(b && c && d && e);
  const peer = await Peer.connect(d.url);
  const cards = await peer.signalers();
  const told = new Map(cards.map((card) => [show(card.signaler), card.url]));
  assert.deepEqual(told, new Map([d, ...all].map((one) => [one.idText, one.url])));

  // The one address dies, and so does another; each list loses them.
  await Promise.all([first.kill(), e.kill()]);
  await complete([b, c, d]);
  const seen = (await b.health()).members.find((one) => one.id === first.idText);
  assert.deepEqual({ url: seen?.url, active: seen?.active }, { url: first.url, active: false });

  // One that was killed comes back: all that it was told is an address where nobody answers, the rest is in its file.
  const again = await member(t, first.url, { dir: e.dir, port: e.port });
  await complete([b, c, d, again]);
  await peer.announce(randomBytes(32));

  // One that stops says so.
  await c.stop();
  await complete([b, d, again]);
});

test("c1_what_is_down_for_long_is_forgotten_and_its_file_does_not_bring_it_back", async (t) => {
  const toml = `${QUICK}forget_ms = 4000\n`;
  const a = await member(t, undefined, { toml });
  const b = await member(t, a.url, { toml });
  await complete([a, b]);
  const isKept = (log: string) => log.includes(`stored: the card of ${b.idText}`);
  await until("a line about it", () => a.log, isKept);
  await b.kill();
  const known = async () => (await a.health()).members.length;
  await until("a list without the dead", known, (count) => count === 0, 20_000);
  const isGone = (log: string) => log.includes(`stored: no card of ${b.idText}`);
  await until("a line about it", () => a.log, isGone);
  await a.kill();
  const again = await member(t, undefined, { toml, dir: a.dir, port: a.port });
  assert.deepEqual((await again.health()).members, []);
});

test("what_a_member_says_of_strangers_and_of_linked_members_has_no_effect", async (t) => {
  const a = await member(t);
  const b = await member(t, a.url);
  await complete([a, b]);
  const liar = await Sibling.member(a.url);
  const since = (await a.health()).members.find((one) => one.id === b.idText)?.since_ms ?? assert.fail();
  // It does not have the card, so it makes one: nobody else's signature will do.
  const forged = signCard(liar.key, { signaler: b.id, since: since + 1, url: "ws://127.0.0.1:1" });
  liar.news([forged, Standing.Down]);
  assert.equal(await liar.refusal(), "bad-signature");
  const active = async () => (await a.health()).members.filter((one) => one.active).map((one) => one.id);
  assert.deepEqual(await active(), [b.idText, show(liar.key.id)].sort());
  // Its own word about itself counts.
  liar.news([liar.card, Standing.Down]);
  await liar.ping();
  assert.deepEqual(await active(), [b.idText]);

  // A signaler that is not open hears of a stranger, and does not even remember it.
  const closed = await Signaler.start(t, { toml: QUICK, args: ["--sibling", a.url] });
  await until(
    "the member it names",
    async () => (await closed.health()).members.length,
    (count) => count === 1,
  );
  const stranger = new Key();
  const guest = await Sibling.member(a.url);
  guest.news([signCard(stranger, { signaler: stranger.id, since: 1, url: undefined }), Standing.Alive]);
  await until("the stranger", active, (ids) => ids.includes(show(stranger.id)));
  await closed.siblings(1);
  assert.deepEqual(
    (await closed.health()).members.map((one) => one.id),
    [a.idText],
  );
});
