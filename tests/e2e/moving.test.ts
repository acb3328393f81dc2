/** An identity that goes from one browser to another, or from and to a terminal, in a file under a passphrase. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { directory, run, Signaler, until } from "../federation/signaler.ts";
import { PROGRAM, Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

const PASSPHRASE = "correct horse";

interface Imported {
  readonly identity: string;
  readonly name: string;
  readonly parties: string[];
}

const texts = async (page: Peer, label: string, count: number) =>
  (await page.got(label, count)).map(({ data }) => data.text as string);

/** A file with a passphrase, for commands. */
function secret(t: TestContext): string[] {
  const path = join(directory(t), "secret");
  writeFileSync(path, `${PASSPHRASE}\n`);
  return ["--passphrase-file", path];
}

test("p4_an_identity_goes_to_another_browser_in_a_file_and_is_a_member_and_a_founder_there", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url], name: "Ada" };
  const home = await (await lab.page()).start(options);
  const other = await (await lab.page()).start({ signalers: [signaler.url] });
  // One party that it has founded, and one in which it is a writer and is not at the moment.
  const founded = await home.run<string>("create", "mine");
  await home.publish("mine", { text: "from home" });
  await other.run("create", "theirs");
  await other.publish("theirs", { text: "from others" });
  const theirs = await other.look<string>("mesh.parties.theirs.key");
  const invitation = await other.look<string>("mesh.parties.theirs.invite()");
  assert.equal(await home.run("joinAs", "theirs", invitation), "in");
  await home.until("mesh.parties.theirs.members().length === 2");
  // Of each founder one statement, an invitation and an admission.
  const stored = () => home.look<number>("mesh.statements()");
  await until("statements of founders and of the invitation", stored, (count) => count === 4);
  await home.page.reload();
  await home.page.waitForFunction("globalThis.mesh !== undefined");
  await home.start(options);
  assert.equal(await home.run("joinAs", "mine", founded), "in");

  const short = "mesh.weft.export('1234567').then(() => 'exported', (error) => error.code)";
  assert.equal(await home.look(short), "bad-option");
  const file = await home.run<string>("exported", PASSPHRASE);
  const away = await lab.page();
  assert.equal(await away.run("imported", file, "correct house"), "wrong-passphrase");
  assert.equal(await away.run("imported", file.slice(0, -8), PASSPHRASE), "wrong-passphrase");
  assert.equal(await away.run("imported", btoa("no export"), PASSPHRASE), "bad-export");
  const imported = await away.run<Imported>("imported", file, PASSPHRASE);
  assert.deepEqual(
    { ...imported, parties: [...imported.parties].sort() },
    { identity: home.identity, name: "Ada", parties: [founded, theirs].sort() },
  );

  await away.start({ ...options, name: imported.name });
  assert.equal(away.identity, home.identity);
  assert.notEqual(away.id, home.id, "two places are two peers");
  assert.equal(await away.run("joinAs", "mine", founded), "in");
  assert.equal(await away.look("mesh.parties.mine.role"), "admin");
  // Before anybody is met: what was known of members came along.
  await other.look("mesh.weft.close()");
  assert.equal(await away.run("joinAs", "theirs", theirs), "in");
  assert.equal(await away.look("mesh.parties.theirs.role"), "writer");
  await other.page.reload();
  await other.page.waitForFunction("globalThis.mesh !== undefined");
  await other.start({ signalers: [signaler.url] });
  await other.run("joinAs", "theirs", theirs);
  await away.subscribe("mine", {}, "mine", { backlog: true });
  await away.subscribe("theirs", {}, "theirs", { backlog: true });
  assert.deepEqual(await texts(away, "mine", 1), ["from home"]);
  assert.deepEqual(await texts(away, "theirs", 1), ["from others"]);
});

test("p4_an_identity_goes_from_a_terminal_to_a_browser_and_back", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [here, there, files] = [directory(t), directory(t), directory(t)];
  const weft = async (...args: string[]) => {
    const { code, out, err } = await run(PROGRAM, args);
    assert.equal(code, 0, err);
    return JSON.parse(out) as Record<string, string>;
  };
  await weft("id", "--json", "--name", "Ada", "--data", here);
  const party = (await weft("party", "create", "--data", here))["party"] as string;
  const file = join(files, "ada.weft");
  const exported = await weft("export", "--data", here, ...secret(t), file);
  const page = await lab.page();
  const text = readFileSync(file).toString("base64");
  const imported = await page.run<Imported>("imported", text, PASSPHRASE);
  assert.deepEqual(imported, { identity: exported["identity"], name: "Ada", parties: [party] });
  await page.start({ signalers: [signaler.url], name: imported.name });
  assert.equal(await page.run("joinAs", "us", party), "in");
  assert.equal(await page.look("mesh.parties.us.role"), "admin");
  await page.publish("us", { text: "from the page" });

  // And back, with a party that was made in the page.
  const made = await page.run<string>("create", "more");
  const back = join(files, "back.weft");
  writeFileSync(back, Buffer.from(await page.run<string>("exported", PASSPHRASE), "base64"));
  const again = await weft("import", "--data", there, ...secret(t), back);
  assert.deepEqual([again["identity"], again["parties"]], [exported["identity"], 2]);
  for (const [key, words] of [
    [party, "from the page"],
    [made, "of another one"],
  ] as const) {
    const listening = Weft.start(t, "subscribe", ["--backlog"], {
      signalers: [signaler.url],
      party: key,
      data: there,
    });
    if (key === made) await page.publish("more", { text: words });
    await listening.line(words, ({ data }) => data.text === words);
    await listening.interrupt();
  }
});

test("p4_an_import_leaves_another_identity_alone_unless_it_is_to_be_replaced_and_nobody_runs_it", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const from = await (await lab.page()).start(options);
  const file = await from.run<string>("exported", PASSPHRASE);
  const page = await (await lab.page()).start(options);
  const { identity } = page;
  const party = await page.run<string>("create", "us");
  assert.equal(await page.run("imported", file, PASSPHRASE), "another-identity");
  assert.equal(await page.run("imported", file, PASSPHRASE, { replace: true }), "in-use");
  await page.page.reload();
  await page.page.waitForFunction("globalThis.mesh !== undefined");
  await page.start(options);
  assert.deepEqual([page.identity, await page.run("joinAs", "us", party)], [identity, "in"]);
  assert.equal(await page.look("mesh.parties.us.role"), "admin", "nothing was changed");
  await page.look("mesh.weft.close()");
  const imported = await page.run<Imported>("imported", file, PASSPHRASE, { replace: true });
  assert.equal(imported.identity, from.identity);
  await page.start(options);
  assert.equal(page.identity, from.identity);
  assert.equal(await page.run("joinAs", "us", party), "in", "as an open party of that key");
  assert.equal(await page.look("mesh.parties.us.role"), undefined);
  // The same identity once more, while it runs, adds what is new.
  const made = await from.run<string>("create", "ours");
  const more = await from.run<string>("exported", PASSPHRASE);
  assert.deepEqual((await page.run<Imported>("imported", more, PASSPHRASE)).parties, [made]);
  assert.equal(await page.run("joinAs", "ours", made), "in");
  assert.equal(await page.look("mesh.parties.ours.role"), "admin");
});

test("p4_another_browser_and_a_terminal_become_the_same_identity_by_a_code_each", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const home = await (await lab.page()).start({ ...options, name: "Ada" });
  const party = await home.run<string>("create", "us");
  await home.publish("us", { text: "from home" });
  const code = await home.run<string>("link");
  const away = await lab.page();
  for (const wrong of [code.slice(0, -1), `${code}1`, "weft:l", "z6Mk", ""])
    assert.equal(await away.run("take", wrong, options), "bad-code", wrong);
  const taken = await away.run<Imported>("take", code, options);
  assert.deepEqual(taken, { identity: home.identity, name: "Ada", parties: [party] });
  await home.until("mesh.linked === 'taken'");
  await away.start(options);
  assert.equal(away.identity, home.identity);
  assert.equal(await away.run("joinAs", "us", party), "in");
  await away.subscribe("us", {}, "us", { backlog: true });
  assert.deepEqual(await texts(away, "us", 1), ["from home"]);

  // Nobody answers a code twice, nor one that was taken back.
  const late = await lab.page();
  assert.equal(await late.run("take", code, options, 3000), "TimeoutError");
  const other = await home.run<string>("link");
  await home.look("mesh.unlink()");
  await home.until("mesh.linked === 'enough'");
  assert.equal(await late.run("take", other, options, 3000), "TimeoutError");
  assert.equal(await late.look("indexedDB.databases().then((all) => all.length)"), 1);
  // Nor one whose page has closed its peer.
  await home.run<string>("link");
  await home.look("mesh.weft.close()");
  await home.until("mesh.linked === 'closed'");
  // Whoever is somebody already stays who it is.
  assert.equal(await away.run("take", code, options), "another-identity");
  assert.equal(await away.run("take", code, { ...options, replace: true }), "in-use");

  const there = directory(t);
  const third = await away.run<string>("link");
  const linked = await Weft.run(t, "link", [third], { ...options, data: there });
  assert.equal(linked.code, 0, linked.err);
  const line = JSON.parse(linked.out) as Record<string, unknown>;
  assert.deepEqual([line["identity"], line["name"], line["parties"]], [home.identity, "", 1]);
  await away.until("mesh.linked === 'taken'");
  const listening = Weft.start(t, "subscribe", ["--backlog"], { ...options, party, data: there });
  await listening.line("from home", ({ data }) => data.text === "from home");
  assert.equal(await Weft.identity(there), home.identity);
});

test("p4_a_terminal_gives_its_identity_to_a_browser_by_a_code_once", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const data = directory(t);
  const identity = await Weft.identity(data);
  const signalers = [signaler.url];
  const giving = Weft.start(t, "link", [], { signalers, data });
  const code = (await giving.line("a code", ({ code }) => code !== undefined)).json.code as string;
  assert.match(giving.log, /is you/);
  const page = await lab.page();
  const taken = await page.run<Imported>("take", code, { signalers: [signaler.url] });
  assert.equal(taken.identity, identity);
  await giving.line("the end", ({ outcome }) => outcome === "taken");
  assert.deepEqual(await giving.ended(), { code: 0, signal: null });
  // A directory that has an identity is left alone.
  const link = (data: string, ...args: string[]) => Weft.run(t, "link", args, { signalers, data });
  const refused = await link(data, code);
  assert.equal(refused.code, 2);
  assert.match(refused.err, /another identity/);
  const wrong = await link(directory(t), code.slice(0, -1));
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /copy it again/);
  const alone = await link(directory(t), "--timeout", "2", code);
  assert.equal(alone.code, 4, alone.err);
  const none = await link(directory(t), "--timeout", "2");
  assert.equal(none.code, 1, "there is no identity to give");
});
