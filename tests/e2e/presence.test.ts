/** Who is there, and how one finds each other when no signaler is: in Chromium. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab } from "./browser.ts";

test("d13_presence_converges_and_a_closed_tab_is_offline_in_twenty_seconds", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const peers = await Promise.all(
    ["Ada", "Grace", "Barbara"].map(async (name) => {
      const peer = await lab.page();
      await peer.start({ signalers: [signaler.url], name });
      return peer;
    }),
  );
  const [ada, grace, barbara] = peers;
  assert.ok(ada && grace && barbara);
  const begun = performance.now();
  for (const peer of peers) await peer.join("p");
  const names = "mesh.parties.p.presence().map(({ name }) => name).sort().join()";
  await ada.until(`${names} === "Barbara,Grace"`, 10_000);
  await grace.until(`${names} === "Ada,Barbara"`, 10_000);
  await barbara.until(`${names} === "Ada,Grace"`, 10_000);
  assert.ok(performance.now() - begun < 10_000, "presence converges in 10 s");

  const present = (id: string) => `mesh.parties.p.peers().some(({ peer }) => peer === ${JSON.stringify(id)})`;
  assert.equal(await ada.look(present(barbara.id)), true);
  await barbara.page.close({ runBeforeUnload: true });
  await ada.until(`!${present(barbara.id)}`, 20_000);
  // A tab that dies has no time to say goodbye: 20 s from its last word, looked at once a second.
  const session = await grace.context.newCDPSession(grace.page);
  session.send("Page.crash").catch(() => {});
  await ada.until(`!${present(grace.id)}`, 22_000);
});

test("d13_a_state_is_seen_by_everybody_and_by_who_comes_later_and_goes_with_its_tab", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [ada, grace] = await Promise.all([0, 1].map(() => lab.peer([signaler.url], "p")));
  assert.ok(ada && grace);
  await ada.linked(grace);
  const of = (id: string) =>
    `mesh.parties.p.peers().find(({ peer }) => peer === ${JSON.stringify(id)})?.state`;
  const set = (state: string) => `mesh.parties.p.setState(${state})`;
  const colour = (id: string, colour: string) => `${of(id)}?.colour === ${JSON.stringify(colour)}`;

  await ada.look(set("{ colour: 'teal', at: new Date(5), cursor: [1, 2.5] }"));
  await grace.until(colour(ada.id, "teal"), 2_000);
  assert.deepEqual(await grace.look(of(ada.id)), { colour: "teal", at: new Date(5), cursor: [1, 2.5] });
  const told = await grace.look<{ change: string; peer: { state?: unknown } }[]>("mesh.seen.peers");
  assert.ok(told.some(({ change, peer }) => change === "changed" && peer.state !== undefined));
  const states = `mesh.parties.p.presence().find(({ identity }) => identity === ${JSON.stringify(ada.identity)}).states`;
  assert.deepEqual(Object.keys(await grace.look<object>(states)), [ada.id]);

  // As a mouse would: a hundred values in half a second, of which the last counts.
  const events = "mesh.seen.peers.length";
  const before = await grace.look<number>(events);
  await ada.look(`new Promise((done) => {
    let n = 0;
    const timer = setInterval(() => {
      mesh.parties.p.setState({ colour: "n" + ++n });
      if (n === 100) { clearInterval(timer); done(); }
    }, 5);
  })`);
  await grace.until(colour(ada.id, "n100"), 2_000);
  assert.ok((await grace.look<number>(events)) - before <= 10, "few of them are told");

  const late = await lab.peer([signaler.url], "p");
  await late.until(colour(ada.id, "n100"), 10_000);
  for (const [state, code] of [
    ["{ text: 'x'.repeat(1100) }", "too-large"],
    ["{ f() {} }", "bad-document"],
    ["'text'", "bad-document"],
    ["undefined", "bad-document"],
  ]) {
    const thrown = `(() => { try { ${set(state ?? "")} } catch (error) { return error.code; } })()`;
    assert.equal(await ada.look(thrown), code, state);
  }
  assert.equal(await late.look(`${of(ada.id)}.colour`), "n100", "a refused state changes nothing");

  await ada.look(set("null"));
  for (const peer of [grace, late]) await peer.until(`${of(ada.id)} === undefined`, 2_000);
  await ada.look(set("{ colour: 'red' }"));
  await grace.until(colour(ada.id, "red"), 2_000);
  await ada.page.close({ runBeforeUnload: true });
  await grace.until(`!mesh.parties.p.peers().some(({ peer }) => peer === ${JSON.stringify(ada.id)})`, 20_000);
});

test("q9_with_every_signaler_dead_a_peer_known_through_another_is_connected_over_the_mesh", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [left, middle, right] = await Promise.all([0, 1, 2].map(() => lab.peer([signaler.url])));
  assert.ok(left && middle && right);
  // The outer two may not link, so that they know each other through the middle one only.
  await left.look(`mesh.weft.block(${JSON.stringify(right.id)})`);
  await right.look(`mesh.weft.block(${JSON.stringify(left.id)})`);
  for (const peer of [left, middle, right]) await peer.join("p");
  await middle.linked(left, right);
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    await one.until(
      `mesh.parties.p.peers().some(({ peer, identity }) => peer === ${JSON.stringify(other.id)} && identity)`,
    );
  }
  await signaler.kill();
  for (const peer of [left, right]) {
    await peer.until(`mesh.weft.signalers().every(({ state }) => state !== "connected")`);
  }
  await left.look(`mesh.weft.unblock(${JSON.stringify(right.id)})`);
  await right.look(`mesh.weft.unblock(${JSON.stringify(left.id)})`);
  await left.linked(right);
  await right.subscribe("p", {});
  // The middle one goes: what arrives now came over the new link.
  await middle.page.close();
  await left.publish("p", { direct: true });
  assert.deepEqual(
    (await right.got("p", 1)).map(({ data }) => data),
    [{ direct: true }],
  );
});
