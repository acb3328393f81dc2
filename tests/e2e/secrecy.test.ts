/** What a thief reads: of a signaler's database while mail waits, and of all that was recorded, with every lasting key. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { directory, Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { decode, type Fields } from "../federation/wire/cbor.ts";
import { parse } from "../federation/wire/keys.ts";
import { derive } from "./blake3.ts";
import { Agreement, opened } from "./envelope.ts";
import { Tap } from "./tap.ts";

const PARTY = "nowhere";
const TEXTS = ["the first that waits", "the second that waits", "an answer that waits"];
/** Frames with envelopes, and where in them those are. */
const [DELIVER, FORWARD, STORE, MAIL] = [7, 4, 68, 69];

interface Friend {
  readonly data: string;
  readonly identity: string;
}

/** Every file below a directory. */
function files(dir: string): Buffer[] {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
}

/** Where the bytes hold any of these, as they are or as text. */
function found(bytes: Buffer, secrets: Readonly<Record<string, string | Uint8Array>>): string[] {
  const holds = (secret: string | Uint8Array) =>
    bytes.includes(typeof secret === "string" ? secret : Buffer.from(secret));
  return Object.entries(secrets)
    .filter(([, secret]) => holds(secret))
    .map(([name]) => name);
}

/** Every envelope in recorded frames. */
function envelopes(payloads: readonly Buffer[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  // A frame is an array of two; what closes a WebSocket or keeps it alive is none.
  for (const payload of payloads.filter(([first]) => first === 0x82)) {
    const [kind, body] = decode(payload) as [number, Fields];
    // The numbers of frames there and back overlap: Prove has no envelope, Collect no list.
    if (kind === STORE && body.get(4) !== undefined) all.push(body.get(4) as Uint8Array);
    if (kind === FORWARD && body.get(3) !== undefined) all.push(body.get(3) as Uint8Array);
    if (kind === DELIVER && body.get(0) !== undefined) all.push(body.get(0) as Uint8Array);
    const items = kind === MAIL ? body.get(1) : undefined;
    if (Array.isArray(items)) all.push(...items.map(([, envelope]) => envelope as Uint8Array));
  }
  return all;
}

/** The X25519 key of the one peer that a directory of keys has. */
function agreement({ data }: Friend): Agreement {
  const seed = Buffer.from(readFileSync(join(data, "peers/0.seed"), "utf8").trim(), "hex");
  return new Agreement(derive("weft/v1/peer-agreement", seed));
}

async function friend(t: TestContext): Promise<Friend> {
  const data = directory(t);
  return { data, identity: await Weft.identity(data) };
}

async function send(
  t: TestContext,
  url: string,
  from: Friend,
  to: Friend,
  text: string,
  ...args: readonly string[]
): Promise<string> {
  const options = { signalers: [url], party: PARTY, data: from.data };
  const { out } = await Weft.run(t, "send", [to.identity, text, ...args], options);
  return (JSON.parse(out) as { outcome: string }).outcome;
}

async function listen(t: TestContext, url: string, who: Friend, count: number): Promise<string[]> {
  const options = { signalers: [url], party: PARTY, data: who.data };
  const listener = Weft.start(t, "listen", ["--count", `${count}`], options);
  await listener.count(count);
  await listener.ended();
  return listener.lines.map(({ json }) => json.data.text as string);
}

/** Opens somebody's mailbox. */
async function settle(
  t: TestContext,
  url: string,
  who: Friend,
  signaler: Signaler,
  count: number,
): Promise<void> {
  const listener = Weft.start(t, "listen", [], { signalers: [url], party: PARTY, data: who.data });
  const open = async () => (await signaler.metrics()).get("weft_mailboxes");
  await until("a mailbox", open, (open) => open >= count);
  listener.process.kill("SIGTERM");
  await listener.ended();
}

test("c9_a_stolen_database_tells_neither_what_waits_nor_who_wrote_it", async (t) => {
  const signaler = await Signaler.start(t);
  const { url } = signaler;
  const [ada, ben] = [await friend(t), await friend(t)];
  await settle(t, url, ben, signaler, 1);
  // Without a store the sender has no mailbox of its own, in which its ids would be.
  for (const text of TEXTS) assert.equal(await send(t, url, ada, ben, text, "--no-store"), "stored");
  assert.equal((await signaler.metrics()).get("weft_mail"), TEXTS.length);
  // Killed, so that all that is ever written is there, the log of the database as well.
  await signaler.kill();
  const stolen = Buffer.concat(files(signaler.dir));
  assert.deepEqual(found(stolen, { recipient: parse(ben.identity) }), ["recipient"]);
  const peer = await Weft.peer(ada.data);
  const secrets = {
    ...Object.fromEntries(TEXTS.entries()),
    sender: parse(ada.identity),
    its: ada.identity,
    peer: parse(peer),
    shown: peer,
  };
  assert.deepEqual(found(stolen, secrets), []);
});

test("c9_who_has_recorded_everything_and_takes_all_lasting_keys_reads_nothing_that_was_read_before", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const [ada, ben] = [await friend(t), await friend(t)];
  await settle(t, tap.url, ada, signaler, 1);
  await settle(t, tap.url, ben, signaler, 2);
  assert.equal(await send(t, tap.url, ada, ben, TEXTS[0] as string), "stored");
  assert.equal(await send(t, tap.url, ada, ben, TEXTS[1] as string), "stored");
  assert.deepEqual(await listen(t, tap.url, ben, 2), TEXTS.slice(0, 2));
  assert.equal(await send(t, tap.url, ben, ada, TEXTS[2] as string), "stored");
  assert.deepEqual(await listen(t, tap.url, ada, 1), TEXTS.slice(2));

  const keys = [ada, ben].map(agreement);
  const recorded = envelopes(tap.payloads);
  const read = recorded.flatMap((envelope) =>
    keys.flatMap((key) => {
      try {
        return [opened(key, envelope)];
      } catch {
        return [];
      }
    }),
  );
  assert.ok(recorded.length >= 2 * TEXTS.length, `${recorded.length} envelopes`);
  assert.equal(read.length, recorded.length, "the lasting keys open every envelope");
  // What is inside is what a session sealed, and who says so.
  const inside = Buffer.concat(read);
  assert.deepEqual(found(inside, { ada: parse(ada.identity) }), ["ada"]);
  assert.deepEqual(found(inside, Object.fromEntries(TEXTS.entries())), []);
});
