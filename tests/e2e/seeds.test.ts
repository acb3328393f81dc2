/** What a browser profile keeps of keys: sealed by a key that no script can read out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab, type Peer } from "./browser.ts";

/** What is stored under a name: a key, a seed as it is, or one that is sealed. */
interface Stored {
  readonly name: string;
  readonly extractable?: boolean;
  readonly plain?: number;
  readonly sealed?: string;
}

/** In the page: does something with the seeds in its store. */
const inStore = (work: string) => `(async () => {
  const open = indexedDB.open("weft-mesh");
  const database = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
  const transaction = database.transaction("seeds", "readwrite");
  const store = transaction.objectStore("seeds");
  const done = new Promise((resolve) => { transaction.oncomplete = resolve; });
  const result = ${work};
  await done;
  database.close();
  return result;
})()`;

const ALL = inStore(`await new Promise((resolve) => {
  const names = store.getAllKeys();
  const values = store.getAll();
  values.onsuccess = () => resolve(names.result.map((name, at) => {
    const value = values.result[at];
    if (value instanceof CryptoKey) return { name, extractable: value.extractable };
    if (value instanceof Uint8Array) return { name, plain: value.length };
    return { name, sealed: [value.iv, value.sealed].map((bytes) => [...bytes].join()).join(";") };
  }));
})`);

async function load(peer: Peer): Promise<void> {
  await peer.page.reload();
  await peer.page.waitForFunction("globalThis.mesh !== undefined");
}

const named = (all: readonly Stored[], name: string) => all.find((one) => one.name === name);

test("p4_seeds_in_a_browser_are_sealed_by_a_key_that_cannot_be_read_out_and_are_the_same_after_a_reload", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const page = await (await lab.page()).start(options);
  const { identity, id } = page;
  const party = await page.look<string>("mesh.weft.create().then(({ key }) => key)");
  const all = await page.look<Stored[]>(ALL);
  assert.deepEqual(named(all, "wrapping"), { name: "wrapping", extractable: false });
  const seeds = all.filter(({ name }) => name !== "wrapping");
  assert.deepEqual(
    seeds.map(({ name }) => name.split("/")[0]),
    ["identity", "key", "party", "peer"],
  );
  for (const { name, sealed } of seeds) assert.ok(sealed, `${name} is stored as it is`);

  await load(page);
  await page.start(options);
  assert.deepEqual([page.identity, page.id], [identity, id]);
  assert.deepEqual(await page.look<Stored[]>(ALL), all, "nothing was made anew");
  const again = await page.look<string>(`mesh.weft.join(${JSON.stringify(party)}).then(({ role }) => role)`);
  assert.equal(again, "admin", "its party is its own still");
});

test("p4_seeds_that_were_stored_as_they_are_go_on_and_are_sealed_from_then_on", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const page = await (await lab.page()).start(options);
  await load(page);
  // As a version of before has left it. The identity of a seed of 32 sevens, by another profile.
  await page.look(inStore(`(store.clear(), store.put(new Uint8Array(32).fill(7), "identity"), true)`));
  await page.start(options);
  const [seven, sealed] = [page.identity, await page.look<Stored[]>(ALL)];
  assert.ok(named(sealed, "identity")?.sealed, JSON.stringify(sealed));
  const other = await (await lab.page()).start(options);
  await load(other);
  await other.look(inStore(`(store.put(new Uint8Array(32).fill(7), "identity"), true)`));
  await other.start(options);
  assert.equal(other.identity, seven);
  await load(page);
  await page.start(options);
  assert.equal(page.identity, seven);
});

test("p4_a_profile_that_has_lost_the_key_of_its_seeds_says_so_and_leaves_them_as_they_are", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const page = await (await lab.page()).start(options);
  const { identity } = page;
  const before = named(await page.look<Stored[]>(ALL), "identity");
  await load(page);
  await page.look(inStore(`(store.delete("wrapping"), true)`));
  await page.start(options);
  await page.until("mesh.seen.warnings.some(({ code }) => code === 'not-stored')");
  assert.notEqual(page.identity, identity);
  assert.deepEqual(named(await page.look<Stored[]>(ALL), "identity"), before);
});
