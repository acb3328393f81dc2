// In a page: the same work over a bare RTCDataChannel and over Weft, both ends in the page. No page, no party is used twice.

/** Bytes that the bare sender lets wait in its channel, and at which it goes on: what Weft uses. */
const HIGH = 256 * 1024;
const LOW = 64 * 1024;

/** Two bare connections, so many channels' worth: [from, to] for each. */
async function barePairs(count) {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const ends = [new RTCPeerConnection(), new RTCPeerConnection()];
      const channels = ends.map((end) => end.createDataChannel("bare", { negotiated: true, id: 0 }));
      ends.forEach((end, at) => {
        end.onicecandidate = ({ candidate }) => candidate && ends[1 - at].addIceCandidate(candidate);
      });
      const opened = channels.map((channel) => new Promise((resolve) => (channel.onopen = resolve)));
      await ends[0].setLocalDescription();
      await ends[1].setRemoteDescription(ends[0].localDescription);
      await ends[1].setLocalDescription();
      await ends[0].setRemoteDescription(ends[1].localDescription);
      await Promise.all(opened);
      for (const channel of channels) {
        channel.binaryType = "arraybuffer";
        channel.bufferedAmountLowThreshold = LOW;
      }
      return { channels, close: () => ends.forEach((end) => end.close()) };
    }),
  );
}

/** Messages of so many bytes delivered in a second, to all receivers together. */
async function bareRate(count, bytes, receivers) {
  const pairs = await barePairs(receivers);
  const message = new Uint8Array(bytes).fill(120);
  let left = count * receivers;
  const done = new Promise((resolve) => {
    for (const { channels } of pairs) {
      channels[1].onmessage = () => {
        left -= 1;
        if (left === 0) resolve();
      };
    }
  });
  const senders = pairs.map(({ channels }) => channels[0]);
  const start = performance.now();
  for (let n = 0; n < count; n += 1) {
    for (const sender of senders) {
      if (sender.bufferedAmount > HIGH) {
        await new Promise((resolve) => (sender.onbufferedamountlow = resolve));
      }
      sender.send(message);
    }
  }
  await done;
  const took = performance.now() - start;
  for (const pair of pairs) pair.close();
  return (count * receivers * 1000) / took;
}

/** Milliseconds that a message and its echo take, each. */
async function bareTrips(count, bytes) {
  const [{ channels, close }] = await barePairs(1);
  const message = new Uint8Array(bytes).fill(120);
  channels[1].onmessage = ({ data }) => channels[1].send(data);
  const trips = [];
  for (let n = 0; n < count; n += 1) {
    const start = performance.now();
    await new Promise((resolve) => {
      channels[0].onmessage = resolve;
      channels[0].send(message);
    });
    trips.push(performance.now() - start);
  }
  close();
  return trips;
}

/** A document that has so many bytes when it is encoded: one text and a number. */
function documentOf(n, bytes) {
  return { n, text: "x".repeat(Math.max(0, bytes - 16)) };
}

/** A publisher and its receivers, all linked. */
async function weftSwarm(signaler, receivers) {
  const { connect } = mesh;
  const party = crypto.randomUUID();
  const limits = { links: Math.max(5, receivers) };
  const all = [];
  for (let n = 0; n <= receivers; n += 1) {
    all.push(await connect({ signalers: [signaler], store: "memory", limits: n === 0 ? limits : { links: 1 } }));
  }
  const parties = await Promise.all(all.map((weft) => weft.join(party)));
  const others = all.slice(1).map((weft) => weft.peer);
  const linked = () => parties[0].peers().filter((peer) => peer.linked && others.includes(peer.peer)).length;
  for (const end = performance.now() + 20_000; linked() < receivers; ) {
    if (performance.now() > end) throw new Error(`${linked()} of ${receivers} linked`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { all, parties, close: () => Promise.all(all.map((weft) => weft.close())) };
}

async function weftRate(signaler, count, bytes, receivers) {
  const { parties, close } = await weftSwarm(signaler, receivers);
  let left = count * receivers;
  const done = new Promise((resolve) => {
    for (const party of parties.slice(1)) {
      party.subscribe({ n: { $gte: 0 } }).on("data", () => {
        left -= 1;
        if (left === 0) resolve();
      });
    }
  });
  const documents = Array.from({ length: count }, (_, n) => documentOf(n, bytes));
  const start = performance.now();
  // Several at once, as an application has; `publish` waits while its queue is full.
  for (let n = 0; n < count; n += 64) {
    await Promise.all(documents.slice(n, n + 64).map((document) => parties[0].publish(document)));
  }
  await done;
  const took = performance.now() - start;
  await close();
  return (count * receivers * 1000) / took;
}

async function weftTrips(signaler, count, bytes) {
  const { parties, close } = await weftSwarm(signaler, 1);
  const [here, there] = parties;
  there.subscribe({ ask: true }).on("data", ({ data }) => there.publish({ n: data.n, ask: false }));
  let came = () => {};
  here.subscribe({ ask: false }).on("data", () => came());
  const trips = [];
  for (let n = 0; n < count; n += 1) {
    const start = performance.now();
    await new Promise((resolve) => {
      came = resolve;
      here.publish({ ...documentOf(n, bytes), ask: true });
    });
    trips.push(performance.now() - start);
  }
  await close();
  return trips;
}

globalThis.bench = { bareRate, bareTrips, weftRate, weftTrips };
