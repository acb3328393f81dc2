// In the page: the package and short words for what the tests do with it. Everything that happens is kept in `seen`.
import { connect, Query, ready, WeftError } from "weft-mesh";

const connections = { made: 0 };
const Original = globalThis.RTCPeerConnection;
globalThis.RTCPeerConnection = class extends Original {
  constructor(...args) {
    super(...args);
    connections.made += 1;
    connections.last = this;
  }
};

const mesh = {
  connect,
  Query,
  ready,
  WeftError,
  connections,
  weft: undefined,
  parties: {},
  subscriptions: {},
  seen: { links: [], messages: [], warnings: [], signalers: [], ready: {}, peers: [] },

  async start(options) {
    const weft = await connect(options);
    mesh.weft = weft;
    // The package tries the configuration on a connection that it closes at once.
    connections.made = 0;
    weft.on("link", (event) => mesh.seen.links.push({ ...event, at: performance.now() }));
    weft.on("message", (event) => mesh.seen.messages.push(event));
    weft.on("warning", (event) => mesh.seen.warnings.push(event));
    weft.on("signaler", (event) => mesh.seen.signalers.push({ ...event, at: performance.now() }));
    return { identity: weft.identity, peer: weft.peer, stored: weft.stored };
  },

  async join(name) {
    const party = await mesh.weft.join(name);
    mesh.parties[name] = party;
    mesh.seen.ready[name] ??= 0;
    party.on("ready", () => {
      mesh.seen.ready[name] += 1;
    });
    party.on("peer", (event) => mesh.seen.peers.push(event));
    return party.key;
  },

  async enter(name, query) {
    await mesh.join(name);
    mesh.subscribe(name, query);
  },

  subscribe(name, query, label = name, options = {}) {
    const subscription = mesh.parties[name].subscribe(query, options);
    const kept = { got: [], live: false };
    mesh.subscriptions[label] = kept;
    subscription.on("data", ({ data, author, id, feed, seq, time, backlog }) => {
      kept.got.push({ data, author, id, feed, seq, time, backlog });
    });
    subscription.on("live", () => {
      kept.live = true;
    });
  },

  async publish(name, documents) {
    const published = await Promise.all(documents.map((document) => mesh.parties[name].publish(document)));
    return published.length;
  },

  async send(identity, data, options) {
    try {
      await mesh.weft.send(identity, data, options);
      return "delivered";
    } catch (error) {
      return error.code ?? String(error);
    }
  },

  openLinks() {
    const last = new Map();
    for (const { peer, state } of mesh.seen.links) last.set(peer, state);
    return [...last].filter(([, state]) => state === "open").map(([peer]) => peer);
  },
};
globalThis.mesh = mesh;
