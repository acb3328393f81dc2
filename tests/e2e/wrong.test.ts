/**
 * Envelopes that are wrong, each in its own way, given to a page and to a command by somebody who speaks the protocol by
 * hand: each is refused with an error of its own, nothing of it is shown, and what is right is shown afterwards.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { directory, Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { decode, encode, type Fields, fields } from "../federation/wire/cbor.ts";
import { bytesAt, Key, parse, same } from "../federation/wire/keys.ts";
import { Peer as Client, From, To } from "../federation/wire/peer.ts";
import { Lab } from "./browser.ts";
import { Agreement, opened, type Recipient, seal, sealed } from "./envelope.ts";
import { openParty } from "./intruder.ts";

const NAME = "the party";
const MESSAGE = 2;
const ALTERED = "the envelope was altered on its way";
const FOR_ANOTHER = "the envelope is for somebody else";
const FORGED = "the envelope's sender is forged";
const FORWARDED = "a message came with a peer record that does not verify";
const VERSION = "envelope of unknown version 9";

/** A peer with everything that it takes to write by hand. */
class Writer {
  readonly agreement = new Agreement();
  readonly identity = new Key();

  private constructor(readonly client: Client) {}

  static async connect(url: string): Promise<Writer> {
    return new Writer(await Client.connect(url));
  }

  get id(): Uint8Array {
    return this.client.id;
  }

  get reached(): Recipient {
    return { peer: this.id, agreement: this.agreement.id };
  }

  /** A message as one of a version without sessions says it. */
  message(to: Uint8Array, text: string): Uint8Array {
    const now = Date.now();
    const body = encode(
      fields(
        [0, this.identity.id],
        [1, this.id],
        [2, this.agreement.id],
        [3, ""],
        [4, now],
        [5, now + 600_000],
      ),
    );
    const record = encode([body, this.identity.sign("weft/v1/peer-record", [body])]);
    // A map of one member.
    const said = Buffer.concat([Uint8Array.of(0xa1), encode("text"), encode(text)]);
    const contents = [
      [0, randomBytes(16)],
      [1, record],
      [2, now],
      [3, said],
      [4, new Uint8Array()],
      [5, to],
    ] as const;
    return encode([MESSAGE, fields(...contents)]);
  }
}

/** Somebody who is written to: what it was warned of and what it was told. */
interface Target {
  readonly identity: Uint8Array;
  readonly recipient: Recipient;
  warned(): Promise<string>;
  told(): Promise<unknown[]>;
}

/** Every way to be wrong, by what the recipient says of it. */
const WRONG: Readonly<Record<string, (to: Target, attacker: Writer, other: Writer) => Uint8Array>> = {
  [ALTERED]: ({ recipient, identity }, attacker) => {
    const envelope = seal(attacker.client.key, recipient, attacker.message(identity, "altered"));
    envelope[envelope.length >> 1] = (envelope[envelope.length >> 1] ?? 0) ^ 1;
    return envelope;
  },
  [FOR_ANOTHER]: ({ recipient, identity }, attacker, other) => {
    const to = { peer: recipient.peer, agreement: other.agreement.id };
    return seal(attacker.client.key, to, attacker.message(identity, "for another"));
  },
  [FORGED]: ({ recipient, identity }, attacker, other) => {
    return seal(attacker.client.key, recipient, other.message(identity, "forged"), other.id);
  },
  [VERSION]: ({ recipient, identity }, attacker) => {
    const envelope = seal(attacker.client.key, recipient, attacker.message(identity, "of another version"));
    envelope[0] = 9;
    return envelope;
  },
  // What somebody wrote, passed on as one's own.
  [FORWARDED]: ({ recipient, identity }, attacker, other) => {
    return seal(attacker.client.key, recipient, other.message(identity, "forwarded"));
  },
};

test("c7_what_is_altered_misdirected_forged_or_forwarded_is_refused_by_a_page_and_by_a_command_each_with_its_own_error", async (t) => {
  const signaler = await Signaler.start(t);
  const [attacker, other] = [await Writer.connect(signaler.url), await Writer.connect(signaler.url)];
  for (const target of [await command(t, signaler, attacker), await page(t, signaler, attacker)]) {
    const seen = new Set<string>();
    for (const [error, wrong] of Object.entries(WRONG)) {
      const { peer } = target.recipient;
      assert.equal(await attacker.client.forward(peer, wrong(target, attacker, other)), "ack");
      await until(error, target.warned, (warned) => warned.includes(error));
      seen.add(error);
      const others = Object.keys(WRONG).filter((one) => !seen.has(one));
      const warned = await target.warned();
      assert.ok(!others.some((one) => warned.includes(one)), `${error}: ${warned}`);
    }
    // The whole inside of an envelope to the attacker, signature and all, in another one.
    const honest = seal(other.client.key, attacker.reached, other.message(target.identity, "taken out"));
    const inside = opened(attacker.agreement, honest);
    const count = async () => (await target.warned()).split(FORGED).length;
    const before = await count();
    const moved = sealed(target.recipient, inside);
    assert.equal(await attacker.client.forward(target.recipient.peer, moved), "ack");
    await until("another forged sender", count, (now) => now > before);
    assert.deepEqual(await target.told(), []);
    const truth = seal(other.client.key, target.recipient, other.message(target.identity, "the truth"));
    assert.equal(await other.client.forward(target.recipient.peer, truth), "ack");
    await until("the truth", target.told, (told) => told.length > 0);
    assert.deepEqual(await target.told(), ["the truth"]);
  }
});

/** Where somebody in the party is, as the signaler tells. */
async function find(attacker: Writer, peer: Uint8Array): Promise<Recipient> {
  const { discovery } = openParty(NAME);
  const entries = async (): Promise<Fields[]> => {
    attacker.client.send(To.Announce, [0, attacker.client.entry(discovery)]);
    const { fields: members } = await attacker.client.inbox.take(From.Members);
    return (members.get(1) as Uint8Array[]).map((entry) => {
      const [body] = decode(entry) as [Uint8Array, Uint8Array];
      return decode(body) as Fields;
    });
  };
  const mine = (all: Fields[]) => all.find((entry) => same(bytesAt(entry, 1), peer));
  const all = await until("its entry", entries, (all) => mine(all) !== undefined);
  return { peer, agreement: bytesAt(mine(all) as Fields, 3) };
}

async function command(t: TestContext, signaler: Signaler, attacker: Writer): Promise<Target> {
  const data = directory(t);
  const listener = Weft.start(t, "listen", [], { signalers: [signaler.url], party: NAME, data });
  const identity = parse(await Weft.identity(data));
  await until(
    "its peer",
    async () => await Weft.peer(data).catch(() => ""),
    (peer) => peer !== "",
  );
  return {
    identity,
    recipient: await find(attacker, parse(await Weft.peer(data))),
    warned: async () => listener.log,
    told: async () => listener.lines.map(({ json }) => json.data.text),
  };
}

async function page(t: TestContext, signaler: Signaler, attacker: Writer): Promise<Target> {
  const lab = await Lab.open(t);
  const peer = await lab.peer([signaler.url], NAME);
  return {
    identity: parse(peer.identity),
    recipient: await find(attacker, parse(peer.id)),
    warned: async () => await peer.look("mesh.seen.warnings.map(({ message }) => message).join('\\n')"),
    told: async () => await peer.look("mesh.seen.messages.map(({ data }) => data.text)"),
  };
}
