/** Wrong arguments in Chromium: each is an error that says what was expected, and the peer goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab } from "./browser.ts";

/** Calls with `weft`, `party`, `sub` and `me` in scope, and the start of the code and message that they end with. */
const WRONG: readonly (readonly [string, string])[] = [
  ["weft.rename(5)", "bad-option name: text"],
  ["weft.rename(null)", "bad-option name: text"],
  ["weft.rename([])", "bad-option name: text"],
  ["weft.send()", "bad-id the recipient's identity: text such as z6Mk…, not undefined"],
  ["weft.send(5, {})", "bad-id the recipient's identity"],
  ["weft.send({}, {})", "bad-id the recipient's identity"],
  ["weft.send('z6', {})", "bad-id"],
  ["weft.send(me)", "bad-document $: a document is an object"],
  ["weft.send(me, {}, null)", "bad-option send: an object of signal, timeout"],
  ["weft.send(me, {}, { timeout: 'x' })", "bad-option timeout (milliseconds): a whole number"],
  ["weft.send(me, {}, { timeout: -1 })", "bad-option timeout"],
  ["weft.send(me, {}, { timeout: 2 ** 31 })", "bad-option timeout"],
  ["weft.send(me, {}, { signal: 5 })", "bad-option send: signal: an AbortSignal"],
  ["weft.block(5)", "bad-id a peer: text such as z6Mk…, not number"],
  ["weft.unblock(null)", "bad-id a peer: text such as z6Mk…, not null"],
  ["weft.on('mesage', () => {})", 'bad-option no event "mesage"; known are message, sent, signaler'],
  ["weft.on('message', 5)", 'bad-option the handler of "message" is not a function'],
  ["party.once('joined', () => {})", 'bad-option no event "joined"; known are peer, ready, link'],
  ["sub.on('dta', () => {})", 'bad-option no event "dta"; known are data, live, error'],
  ["sub.on('data', () => {}, { signal: 5 })", "bad-option on: signal"],
  ["party.publish()", "bad-document $: a document is an object"],
  ["party.publish(null)", "bad-document a document is an object"],
  ["party.publish({}, null)", "bad-option publish: an object of signal"],
  ["party.publish({}, { signal: 5 })", "bad-option publish: signal"],
  ["party.subscribe()", "bad-query $: a query is an object"],
  ["party.subscribe({ genre: undefined })", "bad-query $.genre: undefined is no condition"],
  ["party.subscribe({}, null)", "bad-option subscribe: an object of backlog, buffer, signal"],
  ["party.subscribe({}, { bakclog: true })", 'bad-option subscribe: no option "bakclog"; known are backlog'],
  ["party.subscribe({}, { backlog: 'yes' })", "bad-option backlog: true, false, or { age, count }"],
  ["party.subscribe({}, { backlog: null })", "bad-option backlog: true, false, or { age, count }"],
  ["party.subscribe({}, { backlog: { count: 1.5 } })", "bad-option backlog.count: a whole number from 0"],
  ["party.subscribe({}, { backlog: { age: -1 } })", "bad-option backlog.age (milliseconds): a whole number"],
  [
    "party.subscribe({}, { backlog: { newest: 1 } })",
    'bad-option backlog: no option "newest"; known are age',
  ],
  ["weft.forget('')", "bad-option a party is joined by a name or a key"],
  ["party.subscribe({}, { buffer: 0 })", "bad-option buffer: a whole number from 1"],
  ["connect()", "bad-option signalers"],
  ["connect(5)", "bad-option connect: an object of signalers"],
  ["connect({ signalers, rtc: 5 })", "bad-option rtc: an RTCConfiguration"],
  ["connect({ signalers, limits: 5 })", "bad-option limits: an object of links"],
  ["connect({ signalers, limits: { link: 5 } })", 'bad-option limits: no option "link"; known are links'],
  ["connect({ signalers, signal: 5 })", "bad-option connect: signal"],
  ["connect({ signalers, storage: 'memory' })", 'bad-option connect: no option "storage"'],
];

test("wrong_arguments_are_errors_that_say_what_was_expected_and_break_nothing", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const peer = await lab.peer([signaler.url], "p");
  await peer.page.evaluate("globalThis.sub = mesh.parties.p.subscribe({})");
  const inScope = `const { weft, connect } = mesh; const party = mesh.parties.p; const me = weft.identity;
    const signalers = [${JSON.stringify(signaler.url)}];`;
  for (const [call, expected] of WRONG) {
    const run = `(async () => { ${inScope} try { await ${call}; return "nothing"; }
      catch (error) { return [error.code ?? error.name, error.message].join(" "); } })()`;
    const ended = await peer.look<string>(run);
    assert.ok(ended.startsWith(expected), `${call}: ${ended}`);
  }
  await peer.look("mesh.weft.rename('still here')");
  await peer.publish("p", { n: 1 });
});
