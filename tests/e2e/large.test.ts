/** Messages of up to 16 MiB between pages, and between a page and the `weft` command. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

const MIB = 1024 * 1024;
/** `{"d": bytes}` has so many bytes more than the bytes themselves. */
const FRAME = 8;
const HASHED = `async (bytes) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("")`;

/** Two linked pages; `large` in the first makes bytes, and both watch what their channels have buffered. */
async function pages(t: TestContext): Promise<{ a: Peer; b: Peer; url: string }> {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.page(), await lab.page()];
  for (const page of [a, b]) {
    await page.look(`(() => {
      const send = RTCDataChannel.prototype.send;
      Object.assign(mesh, { most: 0, hash: ${HASHED}, incoming: [], progress: [] });
      RTCDataChannel.prototype.send = function (...args) {
        send.apply(this, args);
        mesh.most = Math.max(mesh.most, this.bufferedAmount);
      };
      mesh.large = (length) => {
        const bytes = new Uint8Array(length);
        for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
        return bytes;
      };
    })()`);
    await page.start({ signalers: [signaler.url] });
    await page.look("void mesh.weft.on('progress', (progress) => mesh.incoming.push(progress))");
    await page.join("p");
  }
  await a.linked(b);
  return { a, b, url: signaler.url };
}

test("d15_16_mib_cross_between_two_pages_with_bounded_buffers_and_one_byte_more_is_an_error", async (t) => {
  const { a, b } = await pages(t);
  const sent = await a.look<{ hash: string; unsent: number; took: number }>(`(async () => {
    const d = mesh.large(${16 * MIB - FRAME});
    let unsent = 0;
    const begin = performance.now();
    await mesh.weft.send("${b.identity}", { d }, { onProgress: (progress) => {
      mesh.progress.push(progress);
      unsent = Math.max(unsent, mesh.weft.stats().unsent);
    } });
    return { hash: await mesh.hash(d), unsent, took: performance.now() - begin };
  })()`);
  await b.until("mesh.seen.messages.length === 1");
  assert.equal(await b.look("mesh.hash(mesh.seen.messages[0].data.d)"), sent.hash);
  const buffered = [await a.look<number>("mesh.most"), await b.look<number>("mesh.most")];
  t.diagnostic(
    `16 MiB in ${Math.round(sent.took)} ms; buffered ${buffered.join(" and ")}, queued ${sent.unsent}`,
  );
  assert.ok((buffered[0] ?? 0) + sent.unsent <= MIB && (buffered[1] ?? 0) <= MIB);
  const progress = await a.look<{ sent: number; total: number }[]>("mesh.progress");
  assert.ok(progress.length > 20);
  assert.ok(
    progress.every(({ sent, total }, at) => total === 16 * MIB && sent > (progress[at - 1]?.sent ?? 0)),
  );
  assert.equal(progress.at(-1)?.sent, 16 * MIB);
  const incoming =
    await b.look<{ from: string; received: number; total: number; id: string }[]>("mesh.incoming");
  assert.deepEqual([incoming.at(-1)?.from, incoming.at(-1)?.received], [a.identity, 16 * MIB]);
  assert.equal(incoming.at(-1)?.id, await b.look("mesh.seen.messages[0].id"));
  assert.deepEqual(
    [await b.look("mesh.weft.stats().assembling"), await a.look("mesh.weft.stats().unsent")],
    [0, 0],
  );
  for (const what of ["send", "request"]) {
    const refused = await a.look<string[]>(
      `mesh.weft.${what}("${b.identity}", { d: new Uint8Array(${16 * MIB - FRAME + 1}) })
        .then(() => [], (error) => [error.code, error.message])`,
    );
    assert.deepEqual(refused, ["too-large", "more than 16777216 bytes: it has at least 16777217"], what);
  }
});

test("d15_an_aborted_message_stops_and_is_forgotten_and_requests_tell_their_progress", async (t) => {
  const { a, b } = await pages(t);
  const outcome = await a.look(`(async () => {
    const controller = new AbortController();
    const onProgress = ({ sent }) => sent > ${2 * MIB} && controller.abort();
    const sending = mesh.weft.send("${b.identity}", { d: mesh.large(${15 * MIB}) }, {
      onProgress,
      signal: controller.signal,
    });
    return await sending.then(() => "delivered", (error) => error.name);
  })()`);
  assert.equal(outcome, "AbortError");
  await b.until("mesh.weft.stats().assembling === 0");
  assert.ok((await b.look<number>("mesh.incoming.at(-1).received")) < 15 * MIB);
  // What was on its way has come to nothing; and the link is as good as before.
  await b.look("void mesh.weft.onRequest(({ data }) => ({ half: data.d.subarray(0, data.d.length / 2) }))");
  const [length, sent] = await a.look<[number, number]>(`(async () => {
    const onProgress = (progress) => mesh.progress.push(progress);
    const request = { d: mesh.large(${4 * MIB}) };
    const { half } = await mesh.weft.request("${b.identity}", request, { onProgress });
    return [half.length, mesh.progress.at(-1).sent];
  })()`);
  assert.deepEqual([length, sent > 3 * MIB], [2 * MIB, true]);
  assert.ok((await a.look<number>("mesh.incoming.at(-1).received")) > 2 * MIB, "the answer was large, too");
  assert.deepEqual(await b.look("mesh.seen.messages"), []);
});

test("d15_16_mib_cross_between_a_page_and_the_command", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], "p");
  const options = { signalers: [signaler.url], party: "p" };
  const bytes = randomBytes(16 * MIB - FRAME);
  const hash = createHash("sha256").update(bytes).digest("hex");
  const sending = Weft.start(t, "send", [page.identity], options);
  sending.write({ d: { $bytes: bytes.toString("base64") } });
  sending.end();
  assert.deepEqual(await sending.ended(), { code: 0, signal: null }, sending.log);
  assert.equal(sending.lines[0]?.json.outcome, "delivered");
  await page.until("mesh.seen.messages.length === 1");
  assert.equal(await page.look(`(${HASHED})(mesh.seen.messages[0].data.d)`), hash);
  const listener = Weft.start(t, "listen", [], options);
  await listener.said("listening as");
  await page.until("mesh.openLinks().length === 1");
  const [sent, unsent] = await page.look<[string, number]>(`(async () => {
    const { d } = mesh.seen.messages[0].data;
    let unsent = 0;
    const onProgress = () => { unsent = Math.max(unsent, mesh.weft.stats().unsent); };
    await mesh.weft.send("${await Weft.identity(listener.data)}", { d }, { onProgress });
    return ["delivered", unsent];
  })()`);
  assert.ok(sent === "delivered" && unsent <= MIB, `${unsent} bytes waited`);
  const { json } = await listener.line("the message", () => true, 60_000);
  assert.equal(createHash("sha256").update(Buffer.from(json.data.d.$bytes, "base64")).digest("hex"), hash);
});
