/** Private parties with what is shipped: who is let in, who is not, and who can read what. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { directory, run, Signaler, until } from "../federation/signaler.ts";
import { PROGRAM, Weft } from "../federation/weft.ts";
import { parse, text58 } from "../federation/wire/keys.ts";
import { hash } from "./blake3.ts";
import { Lab, type Peer } from "./browser.ts";
import { Tap } from "./tap.ts";

const SECRET = "what only members of this party know";

/** A private party that somebody has founded, and that it stays in. */
class Founded {
  private constructor(
    readonly t: TestContext,
    readonly url: string,
    readonly data: string,
    readonly party: string,
    readonly founder: Weft,
  ) {}

  static async make(t: TestContext, url: string): Promise<Founded> {
    const data = directory(t);
    const made = await run(PROGRAM, ["party", "create", "--data", data]);
    assert.equal(made.code, 0, made.err);
    const party = (JSON.parse(made.out) as { party: string }).party;
    const founder = Weft.start(t, "subscribe", ["--backlog"], { signalers: [url], party, data });
    return new Founded(t, url, data, party, founder);
  }

  options(data: string, party = this.party) {
    return { signalers: [this.url], party, data };
  }

  async invite(role: string, ...args: string[]): Promise<string> {
    return (await this.invited(role, ...args)).invitation;
  }

  /** An invitation, and when it ends, in ms since 1970. */
  async invited(role: string, ...args: string[]): Promise<{ invitation: string; until: number }> {
    const run = await Weft.run(this.t, "party invite", ["--role", role, ...args], this.options(this.data));
    assert.equal(run.code, 0, run.err);
    return JSON.parse(run.out) as { invitation: string; until: number };
  }

  async members(data = this.data): Promise<Record<string, string>> {
    const run = await Weft.run(this.t, "party members", [], this.options(data));
    assert.equal(run.code, 0, run.err);
    const lines = run.out.trim().split("\n");
    const each = lines.map((line) => JSON.parse(line) as { identity: string; role: string });
    return Object.fromEntries(each.map(({ identity, role }) => [identity, role]));
  }

  async publish(data: string, document: object): Promise<{ code: number | null; err: string }> {
    return await Weft.run(this.t, "publish", ["--timeout", "15", file(this.t, document)], this.options(data));
  }
}

function file(t: TestContext, document: object): string {
  const path = join(directory(t), "documents.jsonl");
  writeFileSync(path, `${JSON.stringify(document)}\n`);
  return path;
}

/** A well-formed invitation that no admin has made. */
function madeUp(party: string): string {
  const said = Buffer.concat([Buffer.from([1]), parse(party), Buffer.alloc(16, 7)]);
  return `weft:z${text58(Buffer.concat([said, hash(said).subarray(0, 4)]))}`;
}

/** Whoever has these keys is a member of some private party. */
function isMember(data: string): boolean {
  const parties = join(data, "parties");
  return existsSync(parties) && readdirSync(parties).some((name) => name.endsWith(".members"));
}

const words = (weft: Weft) => weft.lines.map(({ json }) => json.data.text as string);

test("p1_an_invitation_lets_one_in_and_wrong_expired_and_used_ones_are_refused", async (t) => {
  const signaler = await Signaler.start(t);
  const founded = await Founded.make(t, signaler.url);
  const invitation = await founded.invite("writer");
  const guest = directory(t);
  const listening = Weft.start(t, "subscribe", ["--backlog"], founded.options(guest, invitation));
  // From then on its key is enough.
  await until(
    "key of the party",
    () => isMember(guest),
    (known) => known,
  );
  assert.equal((await founded.publish(guest, { text: "from the guest" })).code, 0);
  await founded.founder.count(1);
  assert.deepEqual(words(founded.founder), ["from the guest"]);
  const identity = await Weft.identity(guest);
  assert.deepEqual(await founded.members(), {
    [await Weft.identity(founded.data)]: "admin",
    [identity]: "writer",
  });
  assert.deepEqual(await founded.members(guest), await founded.members());

  const expired = await founded.invited("writer", "--expires", "0.5");
  const refused = async (invitation: string, code: string) => {
    const run = await Weft.run(
      t,
      "subscribe",
      ["--timeout", "30"],
      founded.options(directory(t), invitation),
    );
    assert.equal(run.code, 1, `${code}: ${run.err}`);
    assert.ok(run.err.includes(`(${code})`), run.err);
    assert.equal(run.out, "");
  };
  await refused(invitation, "invitation-used");
  await until(
    "end of the invitation",
    () => Date.now(),
    (now) => now > expired.until,
  );
  await refused(expired.invitation, "invitation-expired");
  await refused(madeUp(founded.party), "invitation-unknown");
  const cut = await Weft.run(t, "subscribe", [], founded.options(directory(t), invitation.slice(0, -1)));
  assert.equal(cut.code, 2, cut.err);
  assert.equal(Object.keys(await founded.members()).length, 2);

  const reading = directory(t);
  const reader = Weft.start(
    t,
    "subscribe",
    ["--backlog"],
    founded.options(reading, await founded.invite("reader")),
  );
  await reader.count(1);
  assert.deepEqual(words(reader), ["from the guest"], "the backlog, too");
  const tried = await founded.publish(reading, { text: "from a reader" });
  assert.notEqual(tried.code, 0);
  assert.ok(tried.err.includes("not a writer"), tried.err);
  assert.equal((await founded.publish(founded.data, { text: "from the founder" })).code, 0);
  await reader.count(2);
  await listening.line("the founder's", ({ data }) => data.text === "from the founder");
  assert.deepEqual(words(reader), ["from the guest", "from the founder"]);
});

test("p2_who_is_removed_reads_and_publishes_nothing_and_others_go_on", async (t) => {
  const signaler = await Signaler.start(t);
  const founded = await Founded.make(t, signaler.url);
  const [going, staying] = [directory(t), directory(t)];
  const [gone, other] = await Promise.all(
    [going, staying].map(async (data) =>
      Weft.start(t, "subscribe", ["--backlog"], founded.options(data, await founded.invite("writer"))),
    ),
  );
  assert.ok(gone !== undefined && other !== undefined);
  assert.equal((await founded.publish(founded.data, { text: "before" })).code, 0);
  await Promise.all([gone.count(1), other.count(1)]);
  const member = await Weft.identity(going);
  const removed = await Weft.run(t, "party remove", [member], founded.options(founded.data));
  assert.equal(removed.code, 0, removed.err);
  assert.equal((await founded.members(staying))[member], undefined);
  assert.equal((await founded.publish(founded.data, { text: "after" })).code, 0);
  await other.count(2);
  // Nobody takes what it says.
  const tried = await founded.publish(going, { text: "from outside" });
  assert.notEqual(tried.code, 0, "it is in nobody's swarm any more");
  assert.equal((await founded.publish(staying, { text: "we go on" })).code, 0);
  for (const one of [other, founded.founder])
    await one.line("what goes on", ({ data }) => data.text === "we go on");
  assert.deepEqual(words(gone), ["before"]);
  // What another command of one's own publishes, too.
  for (const one of [other, founded.founder])
    assert.deepEqual(words(one).sort(), ["after", "before", "we go on"]);
});

test("p2_who_was_admitted_by_another_admin_is_removed_by_one_who_has_just_heard_of_it", async (t) => {
  const signaler = await Signaler.start(t);
  const founded = await Founded.make(t, signaler.url);
  const [deputy, guest] = [directory(t), directory(t)];
  const joins = async (data: string, invitation: string) => {
    const weft = Weft.start(t, "subscribe", ["--backlog"], founded.options(data, invitation));
    await until(
      "key of the party",
      () => isMember(data),
      (is) => is,
    );
    return weft;
  };
  const deputyListens = await joins(deputy, await founded.invite("admin"));
  await founded.founder.interrupt();
  const invited = await Weft.run(t, "party invite", ["--role", "writer"], founded.options(deputy));
  assert.equal(invited.code, 0, invited.err);
  await joins(guest, (JSON.parse(invited.out) as { invitation: string }).invitation);
  const member = await Weft.identity(guest);
  // Nothing of it is stored with the founder.
  const removed = await Weft.run(t, "party remove", [member], founded.options(founded.data));
  assert.equal(removed.code, 0, removed.err);
  assert.equal((await founded.members())[member], undefined);
  await deputyListens.interrupt();
});

test("p2_late_members_read_the_history_or_not_as_their_invitation_says", async (t) => {
  const signaler = await Signaler.start(t);
  const founded = await Founded.make(t, signaler.url);
  assert.equal((await founded.publish(founded.data, { text: "old" })).code, 0);
  const subscribe = async (...args: string[]) => {
    const data = directory(t);
    const invitation = await founded.invite("reader", ...args);
    const weft = Weft.start(t, "subscribe", ["--backlog"], founded.options(data, invitation));
    await until(
      "key of the party",
      () => isMember(data),
      (is) => is,
    );
    return weft;
  };
  const [all, late] = [await subscribe(), await subscribe("--no-history")];
  await all.count(1);
  assert.equal((await founded.publish(founded.data, { text: "new" })).code, 0);
  await Promise.all([all.count(2), late.count(1)]);
  assert.deepEqual(words(all), ["old", "new"]);
  assert.deepEqual(words(late), ["new"]);
});

test("m4_nothing_that_is_said_in_a_private_party_is_at_a_signaler_or_readable_on_a_disk", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const founded = await Founded.make(t, tap.url);
  const invitation = await founded.invite("writer");
  const guest = directory(t);
  const listening = Weft.start(t, "subscribe", ["--backlog"], founded.options(guest, invitation));
  assert.equal((await founded.publish(founded.data, { text: SECRET })).code, 0);
  await listening.count(1);
  assert.deepEqual(words(listening), [SECRET]);
  await Promise.all([listening.interrupt(), founded.founder.interrupt()]);
  const files = (dir: string): Buffer =>
    Buffer.concat(
      readdirSync(dir, { withFileTypes: true }).map((entry) => {
        const path = join(dir, entry.name);
        return entry.isDirectory() ? files(path) : readFileSync(path);
      }),
    );
  const held = {
    tap: tap.bytes,
    signaler: files(signaler.dir),
    guest: files(guest),
    founder: files(founded.data),
  };
  const party = Buffer.from(parse(founded.party));
  for (const [where, bytes] of Object.entries(held)) {
    assert.ok(bytes.length > 1000, where);
    assert.ok(!bytes.includes(SECRET), `what was said is at the ${where}`);
  }
  assert.ok(!tap.bytes.includes(party) && !tap.bytes.includes(founded.party), "the key of the party");
  assert.ok(!tap.bytes.includes(invitation) && !held.signaler.includes(party));
  // Started again, alone, it reads what it has stored.
  const again = Weft.start(t, "subscribe", ["--backlog"], founded.options(guest));
  await again.count(1);
  assert.deepEqual(words(again), [SECRET]);
});

/** A page that has founded a party, called "us" there. */
async function founding(lab: Lab, url: string): Promise<Peer> {
  const founder = await lab.page();
  await founder.start({ signalers: [url] });
  await founder.run("create", "us");
  await founder.subscribe("us", {});
  return founder;
}

async function arriving(lab: Lab, url: string): Promise<Peer> {
  return await (await lab.page()).start({ signalers: [url] });
}

const invite = async (page: Peer, options = {}) =>
  await page.look<string>(`mesh.parties.us.invite(${JSON.stringify(options)})`);

test("p1_pages_let_in_who_was_invited_and_refuse_wrong_expired_and_used_invitations", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const founder = await founding(lab, signaler.url);
  await founder.publish("us", { n: 1 });
  const invitation = await invite(founder);
  const writer = await arriving(lab, signaler.url);
  assert.equal(await writer.run("joinAs", "us", `https://app.example/#${invitation}`), "in");
  assert.equal(await writer.look("mesh.parties.us.role"), "writer");
  await writer.subscribe("us", {}, "us", { backlog: true });
  await writer.publish("us", { n: 2 });
  await founder.got("us", 1);
  const reader = await arriving(lab, signaler.url);
  assert.equal(await reader.run("joinAs", "us", await invite(founder, { role: "reader" })), "in");
  const tried = "mesh.parties.us.publish({ n: 9 }).then(() => 'published', (e) => e.code)";
  assert.equal(await reader.look(tried), "not-a-writer");
  assert.equal(
    await reader.look("(() => { try { mesh.parties.us.invite() } catch (e) { return e.code } })()"),
    "not-an-admin",
  );
  await reader.subscribe("us", {}, "us", { backlog: true });
  assert.deepEqual((await reader.got("us", 2)).map(({ data }) => data.n).sort(), [1, 2]);
  assert.deepEqual(
    (await writer.got("us", 1)).map(({ data }) => data.n),
    [1],
  );

  const expired = await invite(founder, { expires: 1 });
  const key = await founder.look<string>("mesh.parties.us.key");
  for (const [text, code] of [
    [invitation, "invitation-used"],
    [expired, "invitation-expired"],
    [madeUp(key), "invitation-unknown"],
    [invitation.slice(0, -1), "bad-invitation"],
  ] as const) {
    const stranger = await arriving(lab, signaler.url);
    assert.equal(await stranger.run("joinAs", "us", text), code);
    await stranger.context.close();
  }
  const members = await founder.look<{ identity: string; role: string }[]>("mesh.parties.us.members()");
  const roles = Object.fromEntries(members.map(({ identity, role }) => [identity, role]));
  assert.deepEqual(roles, {
    [founder.identity]: "admin",
    [writer.identity]: "writer",
    [reader.identity]: "reader",
  });
  // A page that is loaded again needs its key alone.
  await writer.page.reload();
  await writer.page.waitForFunction("globalThis.mesh !== undefined");
  await writer.start({ signalers: [signaler.url] });
  assert.equal(await writer.run("joinAs", "us", key), "in");
  await writer.until("mesh.parties.us.role === 'writer'");
  await writer.publish("us", { n: 3 });
  await founder.got("us", 2);
});

test("p2_a_page_that_is_removed_reads_and_publishes_nothing_and_others_go_on", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const lab = await Lab.open(t);
  const founder = await founding(lab, tap.url);
  const [gone, other] = [await arriving(lab, tap.url), await arriving(lab, tap.url)];
  for (const page of [gone, other]) {
    assert.equal(await page.run("joinAs", "us", await invite(founder)), "in");
    await page.subscribe("us", {}, "us", { backlog: true });
  }
  await founder.publish("us", { text: SECRET });
  await Promise.all([gone.got("us", 1), other.got("us", 1)]);
  await founder.look(`mesh.parties.us.remove(${JSON.stringify(gone.identity)})`);
  await other.until(`mesh.parties.us.members().length === 2`);
  await gone.until(`mesh.seen.excluded.includes("removed")`);
  await founder.publish("us", { text: "after" });
  await other.got("us", 2);
  await gone.look("mesh.parties.us.publish({ text: 'from outside' }).catch(() => {})");
  await other.publish("us", { text: "we go on" });
  await founder.got("us", 1);
  assert.deepEqual(
    (await founder.rows("us")).map(({ data }) => data.text),
    ["we go on"],
  );
  assert.deepEqual(
    (await gone.rows("us")).map(({ data }) => data.text),
    [SECRET],
  );
  for (const held of [tap.bytes, Buffer.from(signaler.log)]) assert.ok(!held.includes(SECRET));
});

test("p1_the_weft_command_and_a_page_are_in_one_private_party", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const founded = await Founded.make(t, signaler.url);
  const page = await arriving(lab, signaler.url);
  assert.equal(await page.run("joinAs", "us", await founded.invite("admin")), "in");
  await page.subscribe("us", {}, "us", { backlog: true });
  await page.publish("us", { text: "from the page" });
  await founded.founder.count(1);
  assert.deepEqual(words(founded.founder), ["from the page"]);
  // An admin by then: it lets in who comes to it.
  const guest = Weft.start(t, "subscribe", ["--backlog"], founded.options(directory(t), await invite(page)));
  await guest.count(1);
  assert.equal((await founded.publish(founded.data, { text: "from the command" })).code, 0);
  await page.got("us", 1);
  assert.deepEqual(
    (await page.rows("us")).map(({ data }) => data.text),
    ["from the command"],
  );
});
