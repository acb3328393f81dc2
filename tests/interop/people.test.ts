/** Messages, addresses and sudden deaths between the `weft` command and Chromium. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lab } from "../e2e/browser.ts";
import { directory, pair, Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";

test("a_message_of_the_weft_command_reaches_a_browser_and_is_confirmed", async (t) => {
  const [a, b] = await pair(t);
  const lab = await Lab.open(t);
  const browser = await lab.peer([b.url], "mail");
  const data = directory(t);
  const options = { signalers: [a.url], party: "mail", data };
  const sent = await Weft.run(t, "send", [browser.identity, '{"text":"hé","n":[1,2.5,null]}'], options);
  assert.equal(sent.code, 0, sent.err);
  const { outcome, to } = JSON.parse(sent.out) as { outcome: string; to: string };
  assert.deepEqual([outcome, to], ["delivered", browser.identity]);
  await browser.until("mesh.seen.messages.length === 1");
  const [message] = await browser.look<{ data: unknown; from: string }[]>("mesh.seen.messages");
  assert.deepEqual(message?.data, { text: "hé", n: [1, 2.5, null] });
  assert.equal(message?.from, await Weft.identity(data));
});

test("a_message_of_a_browser_reaches_every_weft_command_of_an_identity", async (t) => {
  const [a, b] = await pair(t);
  const lab = await Lab.open(t);
  const browser = await lab.peer([b.url], "mail");
  const data = directory(t);
  const identity = await Weft.identity(data);
  // Two commands with one directory are two peers of one identity.
  const options = { signalers: [a.url], party: "mail", data };
  const listeners = [Weft.start(t, "listen", [], options), Weft.start(t, "listen", [], options)];
  await browser.until("mesh.openLinks().length === 2");
  assert.equal(await browser.send(identity, { text: "hello, all of you" }), "delivered");
  const peers = new Set<string>();
  for (const listener of listeners) {
    const { json } = await listener.line("the message", () => true);
    assert.deepEqual(json.data, { text: "hello, all of you" });
    assert.equal(json.from, browser.identity);
    peers.add(json.id);
  }
  assert.equal(peers.size, 1, "one message, with one id");
  assert.ok(listeners.every((listener) => listener.lines.length === 1));
});

test("a_message_to_nobody_is_unreachable_for_the_weft_command_and_for_a_browser", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const browser = await lab.peer([signaler.url], "mail");
  const nobody = await Weft.identity(directory(t));
  const options = { signalers: [signaler.url], party: "mail" };
  const [sent, outcome] = await Promise.all([
    Weft.run(t, "send", [nobody, "hello?", "--timeout", "2"], options),
    browser.send(nobody, { text: "hello?" }),
  ]);
  assert.equal(sent.code, 3, sent.err);
  assert.equal((JSON.parse(sent.out) as { outcome: string }).outcome, "unreachable");
  assert.equal(outcome, "unreachable");
});

test("a_browser_that_hides_its_addresses_behind_mdns_links_with_a_native_peer", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const browser = await lab.peer([signaler.url], "mdns");
  const native = Weft.start(t, "peers", ["--watch"], { signalers: [signaler.url], party: "mdns" });
  await native.line("the browser, linked", ({ linked }) => linked === true);
  await browser.until("mesh.openLinks().length === 1");
  const sdp = await browser.look<string>("mesh.connections.last.localDescription.sdp");
  const addresses = [...sdp.matchAll(/^a=candidate:\S+ \d+ udp \d+ (\S+) /gm)].map(([, address]) => address);
  assert.ok(addresses.length > 0, sdp);
  assert.ok(
    addresses.every((address) => address?.endsWith(".local")),
    addresses.join(" "),
  );
});

test("d13_the_weft_command_prints_what_a_browser_says_of_itself_and_each_change", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const browser = await lab.peer([signaler.url], "states");
  const native = Weft.start(t, "peers", ["--watch"], { signalers: [signaler.url], party: "states" });
  await native.line("the browser, linked", ({ linked, state }) => linked === true && state === undefined);
  await browser.look("mesh.parties.states.setState({ colour: 'teal', since: new Date(5) })");
  const { json } = await native.line("the state", ({ state }) => state !== undefined, 2000);
  assert.equal(json.change, "changed");
  assert.deepEqual(json.state, { colour: "teal", since: { $date: 5 } });
  const told = native.lines.length;
  await browser.look("mesh.parties.states.setState(null)");
  const gone = () => native.lines.slice(told).some(({ json }) => json.state === undefined);
  await until("line without a state", gone, (seen) => seen, 2000);
});

test("a_native_peer_that_is_killed_is_noticed_and_a_restarted_one_links_again", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const browser = await lab.peer([signaler.url], "restart");
  await browser.subscribe("restart", {});
  const options = { signalers: [signaler.url], party: "restart", data: directory(t) };
  const before = Weft.start(t, "publish", ["--stay"], options);
  await browser.until("mesh.openLinks().length === 1");
  const [id] = await browser.look<string[]>("mesh.openLinks()");
  before.write({ life: 1 });
  await browser.got("restart", 1);
  await before.kill();
  const killed = performance.now();
  // The same keys: the same peer, whose old link is still open as far as the browser knows.
  const after = Weft.start(t, "publish", ["--stay"], options);
  after.write({ life: 2 });
  const rows = await browser.got("restart", 2, 15_000);
  assert.deepEqual(
    rows.map(({ data }) => data),
    [{ life: 1 }, { life: 2 }],
  );
  assert.equal(rows[0]?.feed, id);
  assert.equal(rows[1]?.feed, id, "the same peer");
  assert.ok((rows[1]?.seq ?? 0) > (rows[0]?.seq ?? 0), "its numbers grow over the restart");
  t.diagnostic(`linked and delivered again ${Math.round(performance.now() - killed)} ms after the kill`);

  // Without a successor the browser notices by itself: nothing answers any more.
  await after.kill();
  await browser.until(
    `mesh.seen.links.filter(({ peer }) => peer === ${JSON.stringify(id)}).at(-1).state !== "open"`,
    20_000,
  );
});

test("q8_native_peers_go_on_when_a_signaler_dies_and_newcomers_use_the_other", async (t) => {
  const [a, b] = await pair(t);
  const both = { signalers: [a.url, b.url], party: "resilient" };
  const reader = Weft.start(t, "subscribe", [], both);
  const writer = Weft.start(t, "publish", ["--stay"], both);
  writer.write({ n: 1 });
  await reader.line("the first", ({ data }) => data.n === 1);
  await a.kill();
  writer.write({ n: 2 });
  await reader.line("the second, over the open link", ({ data }) => data.n === 2, 2000);
  // The dead one is the first choice of a newcomer as well.
  const newcomer = Weft.start(t, "subscribe", ["--backlog"], both);
  const started = performance.now();
  const watcher = Weft.start(t, "peers", ["--watch"], both);
  await watcher.line("a link", ({ linked }) => linked === true, 5000);
  t.diagnostic(`linked through the other signaler after ${Math.round(performance.now() - started)} ms`);
  writer.write({ n: 3 });
  await newcomer.line("the third", ({ data }) => data.n === 3);
  // With both gone, links go on.
  await b.kill();
  writer.write({ n: 4 });
  for (const one of [reader, newcomer]) await one.line("the last", ({ data }) => data.n === 4, 2000);
});
