/** Handlers, subscriptions, the publish queue and the keys, from their sources: they need no wasm. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

let inside;
const reported = [];

before(async () => {
  const contents = ["emitter", "subscription", "publishing", "store", "errors"]
    .map((name) => `export * from "./${name}.js";`)
    .join("\n");
  const resolveDir = fileURLToPath(new URL("../src", import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents, resolveDir },
    bundle: true,
    format: "esm",
    write: false,
  });
  inside = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
  );
  globalThis.reportError = (error) => reported.push(error.message);
});

after(() => delete globalThis.reportError);

test("a throwing handler is reported and disturbs no other", () => {
  const handlers = new inside.Handlers(["x"]);
  const seen = [];
  handlers.on("x", () => {
    throw new Error("first");
  });
  handlers.on("x", (event) => seen.push(event));
  handlers.emit("x", 1);
  assert.deepEqual([seen, reported.splice(0)], [[1], ["first"]]);
});

test("handlers end by off, by the returned function, by a signal, and after once", () => {
  const handlers = new inside.Handlers(["x"]);
  const seen = [];
  const named = () => seen.push("off");
  const abort = new AbortController();
  handlers.on("x", named);
  const end = handlers.on("x", () => seen.push("end"));
  handlers.on("x", () => seen.push("signal"), { signal: abort.signal });
  handlers.once("x", () => seen.push("once"));
  handlers.on("x", () => seen.push("aborted before"), { signal: AbortSignal.abort() });
  handlers.emit("x", 0);
  assert.deepEqual(seen.splice(0), ["off", "end", "signal", "once"]);
  handlers.off("x", named);
  end();
  abort.abort();
  handlers.emit("x", 0);
  assert.deepEqual(seen, []);
  assert.equal(handlers.has("x"), false);
});

test("a handler that is taken away during an event is not called any more", () => {
  const handlers = new inside.Handlers(["x"]);
  const seen = [];
  let end = () => {};
  handlers.on("x", () => end());
  end = handlers.on("x", () => seen.push(1));
  handlers.emit("x", 0);
  assert.deepEqual(seen, []);
});

const subscription = (buffer = 4) => {
  const ended = [];
  return { ended, sub: new inside.LiveSubscription({ end: () => ended.push(true) }, buffer) };
};

test("what comes before the first handler waits for it, in order", async () => {
  const { sub } = subscription();
  const seen = [];
  sub.data(1);
  sub.data(2);
  sub.live();
  sub.on("data", (event) => seen.push(event));
  sub.on("live", () => seen.push("live"));
  await undefined;
  sub.data(3);
  assert.deepEqual(seen, [1, 2, "live", 3]);
});

test("an iteration takes what waits, then what comes, and ends with close()", async () => {
  const { sub, ended } = subscription();
  sub.data(1);
  const seen = [];
  const done = (async () => {
    for await (const event of sub) {
      seen.push(event);
      if (event === 2) sub.close();
    }
  })();
  await undefined;
  sub.data(2);
  await done;
  sub.data(3);
  assert.deepEqual([seen, ended, sub.open], [[1, 2], [true], false]);
});

test("break in an iteration ends the subscription", async () => {
  const { sub, ended } = subscription();
  sub.data(1);
  for await (const event of sub) {
    assert.equal(event, 1);
    break;
  }
  assert.deepEqual([ended, sub.open], [[true], false]);
});

test("an iteration reads to the end what waited when the subscription ended", async () => {
  const { sub } = subscription();
  sub.data(1);
  sub.data(2);
  sub.ended();
  const seen = [];
  for await (const event of sub) seen.push(event);
  assert.deepEqual(seen, [1, 2]);
});

test("the buffer drops the oldest, counts it, and says so once until it was read empty", async () => {
  const { sub } = subscription(2);
  const errors = [];
  sub.on("error", (error) => errors.push(error.code));
  for (const event of [1, 2, 3, 4]) sub.data(event);
  assert.deepEqual([sub.dropped, errors], [2, ["events-dropped"]]);
  const seen = [];
  sub.once("data", (event) => seen.push(event));
  await undefined;
  sub.once("data", (event) => seen.push(event));
  await undefined;
  sub.once("data", (event) => seen.push(event));
  await undefined;
  assert.deepEqual(seen, [3, 4]);
});

test("handlers and an iteration both get what comes", async () => {
  const { sub } = subscription();
  const handled = [];
  const read = [];
  sub.on("data", (event) => handled.push(event));
  const done = (async () => {
    for await (const event of sub) read.push(event);
  })();
  await undefined;
  sub.data(1);
  sub.data(2);
  sub.close();
  await done;
  assert.deepEqual(
    [handled, read],
    [
      [1, 2],
      [1, 2],
    ],
  );
});

/** A peer whose queue has room for `room` documents. */
function peerWithRoom(room) {
  const peer = { room, taken: [] };
  const queue = new inside.PublishQueue((_party, document) => {
    if (document === "bad") throw new inside.WeftError("bad-document", "bad");
    if (peer.taken.length >= peer.room) throw new inside.WeftError("queue-full", "full");
    return peer.taken.push(document);
  });
  return { peer, queue };
}

test("documents keep their order while the queue is full, also small ones behind large ones", async () => {
  const { peer, queue } = peerWithRoom(1);
  const results = ["a", "b", "c"].map((document) => queue.publish("p", document));
  assert.deepEqual(peer.taken, ["a"]);
  peer.room = 2;
  queue.drained();
  peer.room = 9;
  const later = queue.publish("p", "d");
  assert.deepEqual(peer.taken, ["a", "b"]);
  queue.drained();
  assert.deepEqual(peer.taken, ["a", "b", "c", "d"]);
  for (const command of [1, 2, 3, 4]) queue.published(command, { id: `id${command}`, seq: command });
  assert.deepEqual(
    (await Promise.all([...results, later])).map(({ seq }) => seq),
    [1, 2, 3, 4],
  );
});

test("a document that waits can be given up, and is then not published", async () => {
  const { peer, queue } = peerWithRoom(0);
  const abort = new AbortController();
  const given = queue.publish("p", "a", abort.signal);
  abort.abort(new Error("changed my mind"));
  await assert.rejects(given, { message: "changed my mind" });
  peer.room = 1;
  queue.drained();
  assert.deepEqual(peer.taken, []);
});

test("a refused document is its own error, and the end is everybody's", async () => {
  const { queue } = peerWithRoom(1);
  await assert.rejects(queue.publish("p", "bad"), { code: "bad-document" });
  const placing = queue.publish("p", "a");
  const waiting = queue.publish("p", "b");
  queue.end(new inside.WeftError("closed", "closed"));
  await assert.rejects(placing, { code: "closed" });
  await assert.rejects(waiting, { code: "closed" });
});

/** An IndexedDB that opens and then refuses; `begin` makes a transaction. */
const refusing = (begin) => ({
  open() {
    const request = { result: { transaction: begin } };
    setTimeout(() => request.onsuccess());
    return request;
  },
});

const full = () => {
  throw new DOMException("no room", "QuotaExceededError");
};

/** A transaction in which there is what `stored` gives, and no room for more. */
const reading = (stored) => () => {
  const transaction = {
    objectStore: () => ({
      get(name) {
        const request = { result: stored(name) };
        setTimeout(() => {
          request.onsuccess?.();
          transaction.oncomplete?.();
        });
        return request;
      },
      add: full,
      put: full,
    }),
  };
  return transaction;
};

test("where storage refuses after it was opened, the keys live as long as the page, with a warning", async (t) => {
  t.after(() => delete globalThis.indexedDB);
  for (const begin of [full, reading(() => undefined)]) {
    globalThis.indexedDB = refusing(begin);
    const keys = await inside.openKeys("indexeddb");
    assert.deepEqual([keys.stored, keys.identity.length, keys.peer.length], [false, 32, 32]);
    assert.deepEqual(
      keys.warnings.map(({ code }) => code),
      ["not-stored"],
    );
    assert.match(keys.warnings[0].message, /no room/);
    keys.release();
  }
});

test("an identity that is stored stays when only the peer cannot be", async (t) => {
  t.after(() => delete globalThis.indexedDB);
  const stored = new Uint8Array(32).fill(7);
  globalThis.indexedDB = refusing(reading((name) => (name === "identity" ? stored : undefined)));
  const keys = await inside.openKeys("indexeddb");
  assert.deepEqual([keys.identity, keys.stored, keys.warnings.length], [stored, false, 1]);
});
