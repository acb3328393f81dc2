// In the page: the package and short words for what the tests do with it. Everything that happens is kept in `seen`.
import { connect, importIdentity, Query, ready, takeIdentity, WeftError } from "weft-mesh";

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
  seen: { links: [], messages: [], sent: [], warnings: [], signalers: [], ready: {}, peers: [] },

  async start(options) {
    const weft = await connect(options);
    mesh.weft = weft;
    // The package tries the configuration on a connection that it closes at once.
    connections.made = 0;
    weft.on("link", (event) => mesh.seen.links.push({ ...event, at: performance.now() }));
    weft.on("message", (event) => mesh.seen.messages.push(event));
    weft.on("sent", (event) => mesh.seen.sent.push(event));
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

  /** Makes a private party, called like this here. */
  async create(name) {
    mesh.parties[name] = await mesh.weft.create();
    return mesh.parties[name].key;
  },

  /** Joins by an invitation or a key, called like this here; gives the code of what is wrong. */
  async joinAs(name, party) {
    try {
      mesh.parties[name] = await mesh.weft.join(party);
      mesh.seen.excluded ??= [];
      mesh.parties[name].on("excluded", (event) => mesh.seen.excluded.push(event.code));
      return "in";
    } catch (error) {
      return error.code ?? String(error);
    }
  },

  /** The identity in a file, as base64. */
  async exported(passphrase) {
    const bytes = await mesh.weft.export(passphrase);
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  },

  /** Takes in such a file, as one that somebody has picked; gives what is wrong by its code. */
  async imported(text, passphrase, options) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    try {
      return await importIdentity(new File([bytes], "me.weft"), passphrase, options);
    } catch (error) {
      return error.code ?? String(error);
    }
  },

  /**
   * How many statements about members this profile has stored, of all private parties together. What the peer itself stores
   * is in rows beside those of parties, some of which begin with the same byte.
   */
  async statements() {
    const open = indexedDB.open("weft-mesh");
    const database = await new Promise((resolve) => {
      open.onsuccess = () => resolve(open.result);
    });
    const reading = database.transaction(["feeds", "seeds"]);
    const rows = reading.objectStore("feeds").getAllKeys();
    const seeds = reading.objectStore("seeds").getAllKeys();
    await new Promise((resolve) => {
      reading.oncomplete = resolve;
    });
    database.close();
    const parties = new Set(seeds.result.map(String));
    const isOne = ([place, key]) => parties.has(`party/${place}`) && new Uint8Array(key)[0] === 4;
    return rows.result.filter(isOne).length;
  },

  /** A code for another place, which waits to be used; `mesh.linked` tells how it ended. */
  async link() {
    const controller = new AbortController();
    const { code, taken } = await mesh.weft.link({ signal: controller.signal });
    mesh.unlink = () => controller.abort(new Error("enough"));
    mesh.linked = "waits";
    taken.then(
      () => {
        mesh.linked = "taken";
      },
      (error) => {
        mesh.linked = error.code ?? error.message;
      },
    );
    return code;
  },

  /** Becomes the identity of a code; gives what is wrong by its code. */
  async take(code, options, timeout) {
    try {
      const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
      return await takeIdentity(code, { ...options, ...(signal && { signal }) });
    } catch (error) {
      return error instanceof WeftError ? error.code : error.name;
    }
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

  /** Waits for the receipt unless the options say otherwise; gives how far the message is, or the code of what is wrong. */
  async send(identity, data, options) {
    try {
      const { state } = await mesh.weft.send(identity, data, { until: "delivered", ...options });
      return state;
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
