/** Two browsers of one identity: one of them is revoked, says so and does not start again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler, until } from "../federation/signaler.ts";
import { Lab, type Peer } from "./browser.ts";

const PASSPHRASE = "correct horse";

interface OwnPeer {
  readonly peer: string;
  readonly name: string;
  readonly this: boolean;
  readonly connected: boolean;
}

const own = (page: Peer): Promise<OwnPeer[]> => page.look("mesh.weft.peers()");
const refused = (page: Peer, what: string): Promise<string> =>
  page.look(`${what}.then(() => "done", (error) => error.code)`);

test("a_browser_of_ones_own_is_listed_revoked_and_starts_again_only_as_another_peer", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const home = await (await lab.page()).start({ ...options, name: "Home" });
  const file = await home.run<string>("exported", PASSPHRASE);
  const away = await lab.page();
  await away.run("imported", file, PASSPHRASE);
  await away.start({ ...options, name: "Away" });
  const ben = await (await lab.page()).start(options);
  for (const page of [home, away, ben]) await page.run("join", "films");
  await home.until(`mesh.parties.films.peers().filter(({ linked }) => linked).length === 2`);
  await away.until(`mesh.parties.films.peers().filter(({ linked }) => linked).length === 2`);

  const both = (all: OwnPeer[]) => all.length === 2 && all.every(({ connected }) => connected);
  const listed = await until("two peers of one's own that are connected", () => own(home), both, 30_000);
  assert.equal(listed.find((one) => one.this)?.peer, home.id);
  assert.equal(listed.find((one) => one.peer === away.id)?.name, "Away");

  assert.equal(await refused(home, `mesh.weft.revoke("${home.id}")`), "bad-option");
  assert.equal(await refused(home, `mesh.weft.revoke("${ben.id}")`), "bad-option");
  assert.equal(await refused(home, `mesh.weft.revoke("nobody")`), "bad-id");
  await away.look(`void mesh.weft.on("revoked", ({ time }) => (mesh.revoked = time))`);
  assert.equal(await refused(home, `mesh.weft.revoke("${away.id}")`), "done");
  await away.until("mesh.revoked > 0");
  assert.equal(await refused(away, "mesh.weft.peers()"), "revoked");
  assert.equal(await refused(away, "mesh.weft.close()"), "done");
  assert.deepEqual(
    (await own(home)).map((one) => one.peer),
    [home.id],
  );
  await ben.until(`mesh.parties.films.peers().every(({ peer }) => peer !== "${away.id}")`);

  // It stays so over a reload, and others hear of the identity what it gets.
  await away.page.reload();
  await away.page.waitForFunction("globalThis.mesh !== undefined");
  await assert.rejects(away.start({ ...options, name: "Away" }), /revoked/);
  await ben.send(home.identity, { text: "hi" }, { until: "delivered" });
  assert.deepEqual(
    (await home.look<{ data: { text: string } }[]>("mesh.seen.messages")).map(({ data }) => data.text),
    ["hi"],
  );
  // Taken in again, it is another peer of the identity.
  await away.run("imported", file, PASSPHRASE);
  const gone = away.id;
  await away.start({ ...options, name: "Away" });
  assert.equal(away.identity, home.identity);
  assert.notEqual(away.id, gone);
});
