/**
 * `cargo xtask bench crypto [--rounds N] [--seconds S] [--quick]`: what peers seal, open, agree upon and sign, in wasm as the
 * package has it, beside libsodium-wrappers (C as wasm) and noble (JavaScript).
 *
 * All of it runs in this process, in Node's V8 and on one thread; bytes cross the border to wasm and back in each call, as they
 * do with libsodium-wrappers. In each round everything is measured once, one after the other, and ratios are taken within the
 * round. What counts is CPU time of the process, its collector's included. Before that it is checked
 * that three ciphers of one name give the same bytes.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import sodium from "libsodium-wrappers";
import { heading, line, missedBars, spread, table, verdict } from "./match-report.ts";

const ROUNDS = 7;
/** CPU seconds of one measurement, and its part that goes ahead and does not count. */
const SECONDS = 0.5;
const WARM_UP = 0.2;
/** A look at the clock is worth so much work, seconds. */
const BETWEEN_LOOKS = 0.005;
/** Bytes of a message, of a large one, and of what is signed when a link is proved (docs/spec/crypto.md). */
const [SMALL, LARGE, PROOF] = [256, 64 * 1024, 92];
/** How many times as fast as theirs ours has to be. */
const BARS = { sealing: { libsodium: 2, noble: 8 }, setup: { libsodium: 1.2, noble: 8 } } as const;

/** The glue of bench/crypto-wasm, as far as it is used. */
interface Ours {
  initSync(options: { readonly module: Uint8Array }): unknown;
  readonly Session: new () => {
    seal(from: number, plain: Uint8Array): Uint8Array;
    open(at: number, sealed: Uint8Array): Uint8Array;
    stored(at: number): number;
    send(from: number, plain: Uint8Array): Uint8Array;
    receive(at: number, envelope: Uint8Array): Uint8Array;
  };
  readonly Documents: new () => { seal(plain: Uint8Array): Uint8Array; open(sealed: Uint8Array): Uint8Array };
  readonly Link: new () => {
    half(): Uint8Array;
    agree(key: Uint8Array): void;
    sign(session: Uint8Array): Uint8Array;
    check(session: Uint8Array, signature: Uint8Array): void;
  };
  seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array;
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array;
}

/** Something that is measured: `once` does it once. */
interface Work {
  readonly title: string;
  readonly whose: "weft" | "libsodium" | "noble";
  once(): void;
  /** Times per CPU-second, one figure for each round. */
  readonly rates: number[];
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: String(ROUNDS) },
    seconds: { type: "string", default: String(SECONDS) },
    quick: { type: "boolean", default: false },
  },
});
const [rounds, seconds] = options.quick ? [1, 0.05] : [Number(options.rounds), Number(options.seconds)];
if (!(rounds >= 1 && seconds > 0)) throw new Error("--rounds and --seconds are numbers above 0");

await sodium.ready;
const dir = process.env["WEFT_CRYPTO_WASM"] ?? "target/crypto-wasm";
const ours = (await import(pathToFileURL(join(dir, "crypto.js")).href)) as Ours;
ours.initSync({ module: readFileSync(join(dir, "crypto_bg.wasm")) });

const [small, large, proof] = [SMALL, LARGE, PROOF].map((size) => new Uint8Array(randomBytes(size))) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const key = new Uint8Array(randomBytes(32));
const nonce = new Uint8Array(12);
const longNonce = new Uint8Array(24);
let sealed = 0;

/** The next nonce of this length: no cipher seals twice with one. */
function next(bytes: Uint8Array): Uint8Array {
  sealed += 1;
  new DataView(bytes.buffer).setUint32(0, sealed);
  return bytes;
}

/** What is under test gives back what it took. */
function same(bytes: Uint8Array, plain: Uint8Array): void {
  if (bytes.length !== plain.length || bytes[0] !== plain[0] || bytes.at(-1) !== plain.at(-1))
    throw new Error("it opened to something else");
}

function work(whose: Work["whose"], title: string, once: () => void): Work {
  return { whose, title, once, rates: [] };
}

// Ours.
const [documents, session, answering, storing, travelling, link] = [
  new ours.Documents(),
  new ours.Session(),
  new ours.Session(),
  new ours.Session(),
  new ours.Session(),
  new ours.Link(),
];
const document = work("weft", "Weft, a document of a private party", () => {
  same(documents.open(documents.seal(small)), small);
});
const message = work("weft", "Weft, a message in a session", () => {
  same(session.open(1, session.seal(0, small)), small);
});
let turn = 0;
const answered = work("weft", "the same where each answers the one before", () => {
  turn = 1 - turn;
  same(answering.open(1 - turn, answering.seal(turn, small)), small);
});
const stored = work("weft", "the same with both sides' sessions as they are stored each time", () => {
  const bytes = storing.seal(0, small);
  if (storing.stored(0) === 0) throw new Error("nothing to store");
  same(storing.open(1, bytes), small);
  if (storing.stored(1) === 0) throw new Error("nothing to store");
});
const enveloped = work("weft", "the same in its signed envelope, as it travels", () => {
  same(travelling.receive(1, travelling.send(0, small)), small);
});
const bare = work("weft", "Weft's ChaCha20-Poly1305 alone", () => {
  const number = next(nonce);
  same(ours.open(key, number, ours.seal(key, number, small)), small);
});

// Theirs.
const { crypto_aead_chacha20poly1305_ietf_encrypt, crypto_aead_chacha20poly1305_ietf_decrypt } = sodium;
const sodiumSeal = (number: Uint8Array, plain: Uint8Array) =>
  crypto_aead_chacha20poly1305_ietf_encrypt(plain, null, null, number, key);
const sodiumAead = work("libsodium", "libsodium-wrappers 0.8.4, chacha20poly1305-ietf", () => {
  const number = next(nonce);
  const bytes = sodiumSeal(number, small);
  same(crypto_aead_chacha20poly1305_ietf_decrypt(null, bytes, null, number, key), small);
});
const sodiumBox = work("libsodium", "libsodium-wrappers 0.8.4, secretbox", () => {
  const number = next(longNonce);
  same(
    sodium.crypto_secretbox_open_easy(sodium.crypto_secretbox_easy(small, number, key), number, key),
    small,
  );
});
const nobleAead = work("noble", "@noble/ciphers 2.4.0, chacha20poly1305", () => {
  const number = next(nonce);
  same(chacha20poly1305(key, number).decrypt(chacha20poly1305(key, number).encrypt(small)), small);
});
const nobleBox = work("noble", "@noble/ciphers 2.4.0, xsalsa20poly1305", () => {
  const number = next(longNonce);
  same(xsalsa20poly1305(key, number).decrypt(xsalsa20poly1305(key, number).encrypt(small)), small);
});
for (const plain of [small, large]) {
  const number = next(nonce);
  const bytes = Buffer.from(ours.seal(key, number, plain));
  for (const theirs of [sodiumSeal(number, plain), chacha20poly1305(key, number).encrypt(plain)])
    if (!bytes.equals(theirs)) throw new Error("ChaCha20-Poly1305 is not the same everywhere");
}

const sealing = [
  document,
  message,
  answered,
  stored,
  enveloped,
  bare,
  sodiumAead,
  sodiumBox,
  nobleAead,
  nobleBox,
];

const largeSealing = [
  work("weft", document.title, () => void documents.seal(large)),
  work("weft", message.title, () => void session.seal(0, large)),
  work("weft", bare.title, () => void ours.seal(key, next(nonce), large)),
  work("libsodium", sodiumAead.title, () => void sodiumSeal(next(nonce), large)),
  work("libsodium", sodiumBox.title, () => void sodium.crypto_secretbox_easy(large, next(longNonce), key)),
  work("noble", nobleAead.title, () => void chacha20poly1305(key, next(nonce)).encrypt(large)),
  work("noble", nobleBox.title, () => void xsalsa20poly1305(key, next(longNonce)).encrypt(large)),
];

/** The four steps of a set-up, each with what it gives the next ones. */
interface Steps {
  readonly whose: Work["whose"];
  readonly title: string;
  half(): Uint8Array;
  agree(theirs: Uint8Array): void;
  sign(): Uint8Array;
  check(signature: Uint8Array): void;
}
const peers = link.half();
const sessionId = proof.subarray(0, 16);
const signing = sodium.crypto_sign_keypair();
const noblesKey = { secret: ed25519.utils.randomSecretKey(), public: new Uint8Array() };
noblesKey.public = ed25519.getPublicKey(noblesKey.secret);
let secret: Uint8Array = new Uint8Array(randomBytes(32));
const setups: readonly Steps[] = [
  {
    whose: "weft",
    title: "Weft",
    half: () => link.half(),
    agree: (theirs) => link.agree(theirs),
    sign: () => link.sign(sessionId),
    check: (signature) => link.check(sessionId, signature),
  },
  {
    whose: "libsodium",
    title: "libsodium-wrappers 0.8.4",
    half: () => {
      const made = sodium.crypto_box_keypair();
      secret = made.privateKey;
      return made.publicKey;
    },
    agree: (theirs) => void sodium.crypto_scalarmult(secret, theirs),
    sign: () => sodium.crypto_sign_detached(proof, signing.privateKey),
    check: (signature) => {
      if (!sodium.crypto_sign_verify_detached(signature, proof, signing.publicKey)) throw new Error("forged");
    },
  },
  {
    whose: "noble",
    title: "@noble/curves 2.4.0",
    half: () => {
      const made = x25519.keygen();
      secret = made.secretKey;
      return made.publicKey;
    },
    agree: (theirs) => void x25519.getSharedSecret(secret, theirs),
    sign: () => ed25519.sign(proof, noblesKey.secret),
    check: (signature) => {
      if (!ed25519.verify(signature, proof, noblesKey.public)) throw new Error("forged");
    },
  },
];
const setup = setups.map(({ whose, title, half, agree, sign, check }) => {
  const signature = sign();
  const whole = work(whose, title, () => {
    half();
    agree(peers);
    check(sign());
  });
  const parts = [
    work(whose, "a key pair", () => void half()),
    work(whose, "an agreement", () => agree(peers)),
    work(whose, "a signature", () => void sign()),
    work(whose, "a verification", () => check(signature)),
  ];
  return { whole, parts };
});
const whole = setup.map((one) => one.whole);

const all = [...sealing, ...largeSealing, ...setup.flatMap(({ whole, parts }) => [whole, ...parts])];
for (let round = 0; round < rounds; round += 1) for (const one of all) measure(one);

console.log(`${rounds} rounds of ${seconds} s, Node ${process.versions.node}: median (least to most)`);
heading(`${SMALL} bytes sealed and opened`);
table("", "times per CPU-s", "a document is x times", "a message is x times");
for (const one of sealing)
  line(one.title, spread(one.rates), spread(ratios(document, one)), spread(ratios(message, one)));
console.log("");
for (const [title, subject] of [
  ["a document", document],
  ["a message", message],
] as const)
  bars(title, subject, sealing, BARS.sealing);

heading(`${LARGE / 1024} KiB sealed`);
table("", "MB per CPU-s", "a document is x times");
for (const one of largeSealing) {
  const megabytes = one.rates.map((rate) => (rate * LARGE) / 1e6);
  line(one.title, spread(megabytes), spread(ratios(largeSealing[0] as Work, one)));
}

heading("Set-up: X25519 twice (a key pair and an agreement), an Ed25519 signature and its verification");
const [first] = setup;
if (first === undefined) throw new Error("nothing was measured");
table("", "times per CPU-s", "weft is x times", ...first.parts.map(({ title }) => `${title}, us`));
for (const { whole, parts } of setup) {
  const each = parts.map(({ rates }) => spread(rates.map((rate) => 1e6 / rate)));
  line(whole.title, spread(whole.rates), spread(ratios(first.whole, whole)), ...each);
}
console.log("");
bars("a set-up", first.whole, whole, BARS.setup);
if (missedBars() > 0 && !options.quick) process.exitCode = 1;

/** Does one thing again and again for the asked time, and notes how often per CPU-second. */
function measure(one: Work): void {
  stretch(one, seconds * WARM_UP);
  one.rates.push(stretch(one, seconds));
}

function stretch(one: Work, least: number): number {
  let [times, batch] = [0, 1];
  const begin = cpu();
  for (let looked = begin; ; ) {
    for (let left = batch; left > 0; left -= 1) one.once();
    times += batch;
    const now = cpu();
    if (now - begin >= least) return times / (now - begin);
    if (now - looked < BETWEEN_LOOKS) batch *= 2;
    looked = now;
  }
}

/** CPU seconds of this process so far. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** How many times as fast one is as the other, round by round. */
function ratios(one: Work, other: Work): number[] {
  return one.rates.map((rate, round) => rate / (other.rates[round] ?? Number.NaN));
}

/** One line for each of theirs. */
function bars(
  title: string,
  subject: Work,
  among: readonly Work[],
  least: { readonly libsodium: number; readonly noble: number },
): void {
  for (const other of among) {
    if (other.whose === "weft") continue;
    const times = ratios(subject, other);
    const [bar, outcome] = verdict(times, { least: least[other.whose] });
    console.log(`bar: ${title} ${bar} times ${other.title}: ${spread(times)}, ${outcome}`);
  }
}
