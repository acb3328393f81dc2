/** The registry of the shipped signaler over HTTP, and the `weft` command against it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { directory, run, Signaler, type SignalerOptions, until } from "./signaler.ts";
import { Key, parse, show } from "./wire/keys.ts";
import { type Json, type Service, Statements } from "./wire/registry.ts";
import { Socket } from "./wire/socket.ts";

const WEFT =
  process.env["WEFT"] ?? join(resolve(fileURLToPath(import.meta.url), "../../.."), "target/release/weft");
const HOST = "validator-b.ts.net";
const SERVICES: readonly Service[] = [
  { type: "ledger", port: 8080, publicKey: show(new Key().id) },
  { type: "t4", port: 8180, publicKey: show(new Key().id) },
];

/** A signaler with a sovereign. */
class Registry {
  readonly say: Statements;

  constructor(
    readonly signaler: Signaler,
    readonly sovereign: Key,
  ) {
    this.say = new Statements(signaler.id);
  }

  static async start(
    t: TestContext,
    options: SignalerOptions = {},
    sovereign = new Key(),
  ): Promise<Registry> {
    const args = ["--sovereign", show(sovereign.id), ...(options.args ?? [])];
    return new Registry(await Signaler.start(t, { ...options, args }), sovereign);
  }

  async post(path: string, body: Json): Promise<{ status: number; json: Json }> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const url = new URL(path, this.signaler.url.replace(/^ws/, "http"));
    const response = await fetch(url, { method: "POST", body: text });
    return { status: response.status, json: await response.json() };
  }

  async get(path: string): Promise<Json> {
    return await (await this.signaler.get(path)).json();
  }

  /** Status and code of an answer, or its status alone if all is well. */
  async outcome(path: string, body: Json): Promise<string> {
    const { status, json } = await this.post(path, body);
    if (status < 300) return String(status);
    assert.equal(typeof json.error.message, "string");
    assert.notEqual(json.error.message, "");
    return `${status} ${json.error.code}`;
  }

  async decide(
    what: "approve" | "deny" | "reset" | "revoke",
    id: string,
    by = this.sovereign,
  ): Promise<string> {
    return await this.outcome(`/${what}/${id}`, this.say.decide(what, by, await this.get(`/nodes/${id}`)));
  }

  /** Registers, and approves. */
  async admit(key: Key, id: string, host = HOST, services = SERVICES): Promise<void> {
    assert.equal(await this.outcome("/register", this.say.register(key, id, host, services)), "201");
    assert.equal(await this.decide("approve", id), "200");
  }

  async ids(query = ""): Promise<string[]> {
    return (await this.get(`/nodes${query}`)).nodes.map((node: Json) => node.id);
  }
}

test("n1_a_registration_is_pending_and_everything_in_it_is_signed", async (t) => {
  const a = await Registry.start(t);
  const key = new Key();
  const body = a.say.register(key, "validator-002", HOST, SERVICES);
  const services = [{ ...SERVICES[0], port: 8081 }, SERVICES[1]];
  assert.equal(await a.outcome("/register", { ...body, services }), "401 bad-signature");
  for (const field of [
    "nodeId",
    "publicKey",
    "tailscaleHostname",
    "services",
    "timestamp",
    "nonce",
    "signature",
  ]) {
    assert.equal(await a.outcome("/register", { ...body, [field]: undefined }), "400 missing-field", field);
  }
  const { status, json } = await a.post("/register", body);
  assert.deepEqual([status, json.success, json.nodeId, json.status], [201, true, "validator-002", "pending"]);
  assert.match(json.message, /Awaiting sovereign approval/);
  assert.equal(await a.outcome("/register", body), "409 already-registered");
  assert.equal(await a.outcome("/register", { ...body, services }), "401 bad-signature");
  assert.equal(
    await a.outcome("/register", { ...body, tailscaleHostname: "evil.example" }),
    "401 bad-signature",
  );
  assert.equal(await a.outcome("/register", "{"), "400 bad-json");
  assert.equal(await a.outcome("/register", "[]"), "400 bad-field");
  assert.equal(await a.outcome("/register", `"${"x".repeat(20_000)}"`), "413 too-large");
});

test("n2_pending_nodes_are_not_active_and_approved_ones_show_their_services", async (t) => {
  const a = await Registry.start(t);
  const key = new Key();
  await a.post("/register", a.say.register(key, "validator-001", HOST, SERVICES));
  assert.deepEqual(await a.ids("?status=active"), []);
  assert.deepEqual(await a.ids("?status=pending"), ["validator-001"]);
  assert.equal(await a.decide("approve", "validator-001"), "200");
  const [node] = (await a.get("/nodes?status=active")).nodes;
  assert.equal(node.id, "validator-001");
  assert.equal(node.public_key, show(key.id));
  assert.equal(node.tailscale_hostname, HOST);
  assert.deepEqual(node.services, SERVICES);
  assert.equal(node.approved_by, show(a.sovereign.id));
  assert.equal(await a.outcome("/register", a.say.register(key, "b", HOST, [])), "201");
  const first = await a.get("/nodes?limit=1");
  assert.deepEqual([first.nodes[0].id, first.next], ["b", "b"]);
  assert.deepEqual((await a.get("/nodes?limit=1&after=b")).next, null);
  for (const query of ["limit=0", "limit=501", "limit=x", "status=dead", "after=a/b"]) {
    assert.equal((await a.signaler.get(`/nodes?${query}`)).status, 400, query);
  }
});

test("n3_decisions_are_a_sovereigns_once_and_for_one_state_only", async (t) => {
  const a = await Registry.start(t);
  const b = await Registry.start(t, {}, a.sovereign);
  const key = new Key();
  for (const one of [a, b]) await one.post("/register", one.say.register(key, "v", HOST, SERVICES));
  assert.equal(await a.decide("approve", "v", new Key()), "403 not-sovereign");
  assert.equal(await a.decide("deny", "v", new Key()), "403 not-sovereign");
  const approval = a.say.decide("approve", a.sovereign, await a.get("/nodes/v"));
  assert.equal(await b.outcome("/approve/v", approval), "403 wrong-signaler");
  const relabelled = { ...approval, signaler: b.signaler.idText };
  assert.equal(await b.outcome("/approve/v", relabelled), "401 bad-signature");
  assert.equal(await a.outcome("/deny/v", approval), "401 bad-signature");
  assert.equal(await a.outcome("/approve/w", approval), "401 bad-signature");
  assert.equal(await a.outcome("/approve/v", approval), "200");
  assert.equal(await a.outcome("/approve/v", approval), "409 already-decided");
  assert.equal(await a.decide("revoke", "v"), "200");
  assert.equal(await a.decide("reset", "v"), "200");
  const { head } = await a.get("/nodes/v");
  assert.equal(await a.outcome("/register", a.say.register(key, "v", HOST, SERVICES, {}, head)), "201");
  assert.equal(await a.outcome("/approve/v", approval), "409 superseded");
  assert.equal((await a.get("/nodes/v")).status, "pending");
});

test("n4_nodes_topology_info_and_health_answer", async (t) => {
  const a = await Registry.start(t);
  await a.admit(new Key(), "v");
  assert.equal((await a.get("/nodes/v")).status, "active");
  const missing = await a.signaler.get("/nodes/nobody");
  assert.equal(missing.status, 404);
  assert.equal(((await missing.json()) as Json).error.code, "not-found");
  const topology = await a.get("/topology");
  assert.deepEqual(
    [topology.network, topology.signaler.id, topology.nodes.length],
    ["weft", a.signaler.idText, 1],
  );
  assert.deepEqual([topology.links, topology.links_told_by], [[], [a.signaler.idText]]);
  const without = await a.get("/topology?limit=0");
  assert.deepEqual(without, { ...topology, nodes: [], more: true });
  for (const wrong of ["501", "-1", "all", ""]) {
    const answer = await a.signaler.get(`/topology?limit=${wrong}`);
    assert.deepEqual([answer.status, ((await answer.json()) as Json).error.code], [400, "bad-field"], wrong);
  }
  const info = await a.get("/info");
  assert.deepEqual(info.registry.nodes, { pending: 0, active: 1, offline: 0, denied: 0, revoked: 0 });
  assert.deepEqual(info.registry.sovereigns, [show(a.sovereign.id)]);
  assert.equal((await a.get("/healthz")).status, "ok");
  assert.equal((await a.signaler.get("/nowhere")).status, 404);
  for (const [method, path, status, allow] of [
    ["GET", "/approve/v", 405, "POST"],
    ["PUT", "/register", 405, "POST"],
    ["POST", "/nodes", 405, "GET, HEAD"],
    ["DELETE", "/healthz", 405, "GET, HEAD"],
    ["PUT", "/", 405, "GET, HEAD"],
    ["PUT", "/nowhere", 404, null],
    ["POST", "/approve/v/w", 404, null],
  ] as const) {
    const answer = await fetch(new URL(path, a.signaler.url.replace(/^ws/, "http")), { method });
    assert.deepEqual([answer.status, answer.headers.get("allow")], [status, allow], `${method} ${path}`);
  }
  assert.equal((await a.post("/nowhere", {})).status, 404);
  const put = await fetch(new URL("/nodes", a.signaler.url.replace(/^ws/, "http")), { method: "PUT" });
  assert.equal(put.status, 405);
});

test("n5_a_heartbeat_is_fresh_unused_and_its_owners", async (t) => {
  const a = await Registry.start(t);
  const key = new Key();
  await a.admit(key, "v");
  const body = a.say.heartbeat(key, "v", { ip: "100.64.0.1" });
  assert.equal(await a.outcome("/heartbeat", body), "200");
  assert.equal(await a.outcome("/heartbeat", body), "409 replayed");
  const nonce = Buffer.from(body.nonce, "hex");
  assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(key, "v", { nonce })), "409 replayed");
  const old = a.say.heartbeat(key, "v", { time: Date.now() - 61_000 });
  assert.equal(await a.outcome("/heartbeat", old), "400 stale");
  assert.equal(await a.outcome("/heartbeat", { ...old, timestamp: Date.now() }), "401 bad-signature");
  assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(new Key(), "v")), "401 wrong-key");
  assert.equal(await a.outcome("/heartbeat", { ...body, timestamp: undefined }), "400 missing-field");
  assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(key, "w")), "404 not-found");
  assert.equal((await a.get("/nodes/v")).tailscale_ip, "100.64.0.1");
});

const QUICK = "[registry.limits]\noffline_ms = 1500\nheartbeat_ms = 600\n";

test("n6_silence_is_offline_and_the_next_heartbeat_is_active", async (t) => {
  const a = await Registry.start(t, { toml: QUICK });
  const key = new Key();
  await a.admit(key, "v");
  assert.equal((await a.get("/nodes/v")).status, "active");
  await until(
    "v offline",
    () => a.ids("?status=offline"),
    (ids) => ids.includes("v"),
  );
  assert.deepEqual(await a.ids("?status=active"), []);
  assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(key, "v")), "200");
  assert.deepEqual(await a.ids("?status=active"), ["v"]);
});

test("n7_sovereigns_are_added_revoked_and_rotated_by_sovereigns_and_one_is_always_left", async (t) => {
  const a = await Registry.start(t);
  const [second, third] = [new Key(), new Key()];
  assert.equal(
    await a.outcome("/sovereign/add", { publicKey: show(second.id), description: "x" }),
    "403 not-sovereign",
  );
  assert.equal(
    await a.outcome("/sovereign/add", a.say.sovereign("add", second, second.id)),
    "403 not-sovereign",
  );
  assert.equal(
    await a.outcome("/sovereign/revoke", a.say.sovereign("revoke", a.sovereign, a.sovereign.id)),
    "409 last-sovereign",
  );
  assert.equal(await a.outcome("/sovereign/add", a.say.sovereign("add", a.sovereign, second.id)), "200");
  const rotate = a.say.sovereign("rotate", second, a.sovereign.id, third.id);
  assert.equal(
    await a.outcome("/sovereign/rotate", { ...rotate, newPublicKey: show(new Key().id) }),
    "401 bad-signature",
  );
  const later = { time: Date.now() + 5 };
  assert.equal(
    await a.outcome("/sovereign/rotate", a.say.sovereign("rotate", second, a.sovereign.id, third.id, later)),
    "200",
  );
  const after = { time: Date.now() + 10 };
  assert.equal(
    await a.outcome("/sovereign/revoke", a.say.sovereign("revoke", third, second.id, undefined, after)),
    "200",
  );
  assert.deepEqual((await a.get("/info")).registry.sovereigns, [show(third.id)]);
  assert.equal(
    await a.outcome("/sovereign/revoke", a.say.sovereign("revoke", third, third.id)),
    "409 last-sovereign",
  );
});

/** B registers itself with A. */
async function enlisted(t: TestContext, a: Registry): Promise<Signaler> {
  const http = a.signaler.url.replace(/^ws/, "http");
  const toml = "[limits]\nredial_min_ms = 50\nredial_max_ms = 200\n";
  const b = await Signaler.start(t, { toml, args: ["--register-with", http, "--node-id", "b"] });
  await until(
    "b pending",
    () => a.ids("?status=pending"),
    (ids) => ids.includes("b"),
  );
  return b;
}

test("n8_a_signaler_of_another_network_does_not_register_and_its_log_names_both", async (t) => {
  const a = await Registry.start(t, { args: ["--network", "one"] });
  const http = a.signaler.url.replace(/^ws/, "http");
  const args = ["--network", "two", "--register-with", http, "--node-id", "b"];
  const b = await Signaler.start(t, { args });
  await until(
    "what is wrong",
    () => b.log,
    (log) => /federation "one", and this signaler to "two".*--network one/.test(log),
  );
  assert.deepEqual(await a.ids("?status=pending"), []);
});

test("n8_siblings_of_two_networks_say_so_in_the_log", async (t) => {
  const a = await Registry.start(t, { args: ["--network", "one", "--open"] });
  const say = new Statements(a.signaler.id, "one");
  assert.equal(await a.outcome("/register", say.register(new Key(), "v", HOST, [])), "201");
  const b = await Signaler.start(t, { args: ["--network", "two", "--open", "--sibling", a.signaler.url] });
  await b.siblings(1);
  await until(
    "what is wrong",
    () => b.log,
    (log) => /another federation.*theirs=one|theirs=one.*another federation/.test(log),
  );
});

test("n8_a_signaler_is_admitted_when_it_is_approved_and_leaves_at_once_when_it_is_revoked", async (t) => {
  const a = await Registry.start(t);
  const b = await enlisted(t, a);
  assert.equal((await a.get("/nodes/b")).public_key, b.idText);
  await until(
    "a refusal",
    () => a.signaler.metrics(),
    (metrics) => metrics.refused("not-admitted") > 0,
  );
  assert.equal((await b.health()).siblings.filter((one) => one.up).length, 0, "pending gets nothing");
  assert.equal(await a.decide("approve", "b"), "200");
  await Promise.all([a.signaler.siblings(1), b.siblings(1)]);
  await until(
    "a heartbeat",
    () => a.get("/nodes/b"),
    (node: Json) => node.last_heartbeat !== null,
  );
  assert.equal(await a.decide("revoke", "b"), "200");
  await Promise.all([a.signaler.siblings(0), b.siblings(0)]);
  // Denied ones come back by a reset.
  assert.equal(await a.decide("reset", "b"), "200");
  assert.equal(await a.decide("deny", "b"), "200");
  assert.equal(await a.decide("reset", "b"), "200");
  assert.equal(await a.decide("approve", "b"), "200");
  await Promise.all([a.signaler.siblings(1), b.siblings(1)]);
});

test("n8_siblings_tell_each_other_what_was_decided", async (t) => {
  const a = await Registry.start(t);
  const b = await Registry.start(t, { args: ["--sibling", a.signaler.url] }, a.sovereign);
  const key = new Key();
  await a.admit(key, "v");
  const link = new Registry(b.signaler, a.sovereign);
  await a.post("/register", a.say.register(new Key(), "w", HOST, []));
  // B is not let in yet: what it says to A is refused, and A tells it nothing.
  assert.deepEqual(await link.ids(), []);
  const c = await Registry.start(t, { args: ["--open"] }, a.sovereign);
  const d = await Registry.start(t, { args: ["--sibling", c.signaler.url] }, a.sovereign);
  await Promise.all([c.signaler.siblings(1), d.signaler.siblings(1)]);
  await c.admit(key, "v");
  await until(
    "v at d",
    () => d.ids("?status=active"),
    (ids) => ids.includes("v"),
  );
  assert.equal(await d.decide("revoke", "v"), "200");
  await until(
    "v revoked at c",
    () => c.ids("?status=revoked"),
    (ids) => ids.includes("v"),
  );
  const late = await Registry.start(t, { args: ["--sibling", c.signaler.url] }, a.sovereign);
  await until(
    "v at the one that came late",
    () => late.ids("?status=revoked"),
    (ids) => ids.includes("v"),
  );
});

test("n9_a_restart_keeps_the_registry_and_its_sovereigns", async (t) => {
  const dir = directory(t);
  // Its services are not probed: when that has happened, and with what outcome, is not what has to stay the same.
  const args = ["--probe", "off"];
  const a = await Registry.start(t, { dir, args });
  const key = new Key();
  await a.admit(key, "v");
  const beat = a.say.heartbeat(key, "v", { ip: "100.64.0.7" });
  assert.equal(await a.outcome("/heartbeat", beat), "200");
  const before = await a.get("/nodes/v");
  const { registry } = await a.get("/info");
  assert.deepEqual(registry.first_sovereigns, [show(a.sovereign.id)]);
  await a.signaler.kill();
  // The sovereign need not be named again.
  const b = new Registry(await Signaler.start(t, { dir, args }), a.sovereign);
  assert.deepEqual(await b.get("/nodes/v"), before);
  assert.deepEqual((await b.get("/info")).registry, registry);
  assert.equal(await b.outcome("/heartbeat", beat), "409 replayed");
  assert.equal(await b.decide("revoke", "v"), "200");
});

test("n10_the_event_stream_tells_changes_as_they_happen_with_public_fields_only", async (t) => {
  const a = await Registry.start(t, { toml: QUICK });
  const events: Json[] = [];
  const socket = await Socket.open(`${a.signaler.url}/events`, undefined);
  socket.onMessage = (bytes) => void events.push(JSON.parse(Buffer.from(bytes).toString("utf8")));
  t.after(() => socket.destroy());
  await until(
    "hello",
    () => events.length,
    (count) => count === 1,
  );
  const key = new Key();
  await a.admit(key, "v");
  const types = (): string[] => events.map((event) => event.type);
  await until("v offline", types, (seen) => seen.includes("offline"));
  assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(key, "v")), "200");
  await until("v active again", types, (seen) => seen.at(-1) === "active" && seen.includes("offline"));
  assert.deepEqual(types().slice(0, 5), ["hello", "pending", "active", "offline", "active"]);
  const shown = await a.get("/nodes?status=active");
  for (const { node } of events.slice(1)) {
    assert.deepEqual(Object.keys(node).sort(), Object.keys(shown.nodes[0]).sort());
    assert.ok(!JSON.stringify(node).includes("signature") && !JSON.stringify(node).includes("nonce"));
  }
});

test("n11_services_are_probed_addresses_are_remembered_and_missed_heartbeats_deny", async (t) => {
  const listening = createServer((socket) => socket.destroy());
  await new Promise<void>((done) => listening.listen(0, "127.0.0.1", done));
  t.after(() => listening.close());
  const address = listening.address();
  assert.ok(address !== null && typeof address === "object");
  const toml =
    '[registry]\nprobe = "any"\nprobe_every_s = 1\n[registry.limits]\nheartbeat_ms = 1000\ndeny_after_missed = 5\n';
  const a = await Registry.start(t, { toml });
  const key = new Key();
  const service = (type: string, port: number): Service => ({ type, port, publicKey: show(key.id) });
  await a.admit(key, "v", "127.0.0.1", [service("up", address.port), service("down", 1)]);
  const health = await until(
    "health",
    async () => (await a.get("/nodes/v")).health,
    (health: Json[]) => health.length === 2,
  );
  assert.deepEqual(
    health.map((one: Json) => [one.type, one.healthy]),
    [
      ["up", true],
      ["down", false],
    ],
  );
  assert.ok(health.every((one: Json) => Date.now() - one.checked_at < 60_000));
  for (const ip of ["100.64.0.1", "100.64.0.2"]) {
    assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(key, "v", { ip })), "200");
  }
  const { addresses } = await a.get("/nodes/v");
  assert.deepEqual(
    addresses.map((one: Json) => one.ip),
    ["100.64.0.1", "100.64.0.2"],
  );
  await until(
    "v denied",
    () => a.get("/nodes/v"),
    (node: Json) => node.status === "denied" && node.lapsed,
  );
  assert.equal(await a.outcome("/heartbeat", a.say.heartbeat(key, "v")), "403 not-approved");
  assert.equal(await a.decide("reset", "v"), "200");
});

test("n11_by_default_nothing_on_this_machine_is_probed", async (t) => {
  const a = await Registry.start(t, { toml: "[registry]\nprobe_every_s = 1\n" });
  const key = new Key();
  const service = { type: "own", port: a.signaler.port, publicKey: show(key.id) };
  await a.admit(key, "v", "127.0.0.1", [service]);
  await a.admit(new Key(), "dead", "no-such-host.invalid", [service]);
  // A round has passed once the other one was found dead.
  await until(
    "a probe",
    async () => (await a.get("/nodes/dead")).health.length,
    (count) => count === 1,
  );
  assert.deepEqual((await a.get("/nodes/v")).health, []);
});

test("n4_what_the_document_says_of_the_registry_is_what_it_answers", async (t) => {
  const a = await Registry.start(t, { args: ["--open"] });
  const sibling = await Signaler.start(t, { args: ["--sibling", a.signaler.url] });
  await Promise.all([a.signaler, sibling].map((one) => one.siblings(1)));
  await until(
    "a link that both say",
    async () => (await a.get("/topology")).links,
    (links: Json[]) => links[0]?.said_by.length === 2,
  );
  const document = await a.get("/openapi.json");
  const { schemas } = document.components;
  await a.admit(new Key(), "v");
  await a.post("/register", a.say.register(new Key(), "w", HOST, []));
  for (const [path, methods] of Object.entries<Json>(document.paths)) {
    const [method, about] = Object.entries<Json>(methods)[0] ?? [];
    const asked = path.replace("{id}", "v");
    const { status, json } =
      method === "post"
        ? await a.post(asked, {})
        : await a.signaler.get(asked).then(async (r) => ({
            status: r.status,
            json: r.headers.get("content-type")?.startsWith("text/") ? await r.text() : await r.json(),
          }));
    const answer = about.responses[status];
    assert.ok(answer !== undefined, `${method} ${path}: ${status} is not documented`);
    const schema = (answer.content?.["application/json"] ?? answer.content?.["text/plain"])?.schema;
    if (schema !== undefined) check(json, schema, schemas, path);
  }
  check(await a.get("/nodes/w"), { $ref: "#/components/schemas/NodeWithRegistration" }, schemas, "w");
});

/** Checks a value against what the document uses of JSON Schema; a keyword it does not know throws. Objects have no other members than are named. */
function check(value: Json, schema: Json, schemas: Json, at: string): void {
  for (const [keyword, wanted] of Object.entries<Json>(schema)) {
    const count = typeof value === "string" || Array.isArray(value) ? value.length : value;
    const holds = {
      $ref: () => {
        check(value, schemas[wanted.split("/").at(-1)], schemas, at);
        return true;
      },
      additionalProperties: () => {
        for (const [name, one] of Object.entries<Json>(value)) check(one, wanted, schemas, `${at}.${name}`);
        return true;
      },
      anyOf: () =>
        wanted.some((one: Json) => {
          try {
            check(value, one, schemas, at);
            return true;
          } catch {
            return false;
          }
        }),
      const: () => value === wanted,
      description: () => true,
      enum: () => wanted.includes(value),
      items: () => {
        for (const [n, one] of (value as Json[]).entries()) check(one, wanted, schemas, `${at}[${n}]`);
        return true;
      },
      maxItems: () => count <= wanted,
      maxLength: () => count <= wanted,
      maximum: () => count <= wanted,
      minItems: () => count >= wanted,
      minLength: () => count >= wanted,
      minimum: () => count >= wanted,
      pattern: () => new RegExp(wanted).test(value),
      properties: () => {
        for (const [name, one] of Object.entries<Json>(value)) {
          assert.ok(name in wanted, `${at}.${name} is not documented`);
          check(one, wanted[name], schemas, `${at}.${name}`);
        }
        return true;
      },
      required: () => wanted.every((name: string) => name in value),
      type: () => isOfType(value, wanted),
    }[keyword];
    assert.ok(holds !== undefined, `${keyword} is a keyword that this test does not know`);
    assert.ok(holds(), `${at}: ${JSON.stringify(value)} is not of ${keyword} ${JSON.stringify(wanted)}`);
  }
}

function isOfType(value: Json, type: string): boolean {
  if (value === null || type === "null") return value === null && type === "null";
  if (type === "array") return Array.isArray(value);
  return type === "integer" ? Number.isSafeInteger(value) : typeof value === type;
}

test("requests_beyond_the_rate_of_an_address_are_refused_and_said_so", async (t) => {
  const a = await Registry.start(t, { toml: "[registry]\nposts_per_minute = 3\n" });
  const seen: string[] = [];
  for (let n = 0; n < 5; n += 1) seen.push(await a.outcome("/register", "{"));
  assert.deepEqual(seen.slice(0, 4), ["400 bad-json", "400 bad-json", "400 bad-json", "429 rate-limited"]);
  const url = new URL("/register", a.signaler.url.replace(/^ws/, "http"));
  const { status, headers } = await fetch(url, { method: "POST", body: "{" });
  assert.equal(status, 429);
  // One more each 20 s.
  const after = Number(headers.get("retry-after"));
  assert.ok(Number.isInteger(after) && after >= 1 && after <= 20, String(after));
  assert.equal(headers.get("access-control-expose-headers"), "retry-after");
});

test("who_asks_first_whether_to_send_a_body_is_told_and_one_that_is_too_large_is_not_read", async (t) => {
  const a = await Registry.start(t);
  const said = JSON.stringify(a.say.register(new Key(), "v", HOST, SERVICES));
  assert.deepEqual(await expecting(a.signaler, said), { status: 201, continued: true });
  // As curl does it with more than 1 MiB.
  const large = JSON.stringify({ nodeId: "x".repeat(2 * 1024 * 1024) });
  assert.deepEqual(await expecting(a.signaler, large), { status: 413, continued: false });
  assert.equal(await a.outcome("/register", "x".repeat(16 * 1024 + 1)), "413 too-large");
  assert.equal(await a.outcome("/register", "x".repeat(16 * 1024)), "400 bad-json");
});

/** Posts with `Expect: 100-continue`. */
async function expecting(to: Signaler, body: string): Promise<{ status: number; continued: boolean }> {
  const headers = { expect: "100-continue", "content-length": Buffer.byteLength(body) };
  const sent = request(new URL("/register", to.url.replace(/^ws/, "http")), { method: "POST", headers });
  let continued = false;
  sent.on("continue", () => {
    continued = true;
    sent.end(body);
  });
  sent.flushHeaders();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.resume();
  await once(answer, "end");
  sent.destroy();
  return { status: answer.statusCode ?? 0, continued };
}

test("n12_the_walk_through_of_the_registry_runs_with_the_weft_command", async (t) => {
  const dir = directory(t);
  const keys = (name: string): string[] => ["--data", join(dir, name)];
  const id = async (name: string): Promise<string> =>
    JSON.parse((await run(WEFT, ["id", "--json", ...keys(name)])).out).identity;
  // Bootstrap: the genesis sovereign comes from the command line.
  const sovereign = await id("sovereign");
  const signaler = await Signaler.start(t, {
    args: ["--sovereign", sovereign],
    toml: "[registry.limits]\noffline_ms = 3000\n",
  });
  const http = signaler.url.replace(/^ws/, "http");
  const weft = async (name: string, ...args: string[]): Promise<Json> => {
    const { code, out, err } = await run(WEFT, [...args, "--signaler", http, ...keys(name)]);
    assert.equal(code, 0, err);
    return out === ""
      ? []
      : out
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line));
  };
  const [genesis] = await weft(
    "one",
    "register",
    "validator-001",
    "--host",
    "validator-a.ts.net",
    "--service",
    "ledger:8080",
  );
  assert.deepEqual([genesis.success, genesis.status], [true, "pending"]);
  assert.equal((await weft("sovereign", "approve", "validator-001"))[0].status, "active");
  // A new validator joins.
  const [joined] = await weft(
    "two",
    ...["register", "validator-002", "--host", "validator-002.ts.net", "--ip", "100.64.0.5"],
    ...["--service", "ledger:8080", "--service", "t4:8180"],
  );
  assert.match(joined.message, /Awaiting sovereign approval/);
  assert.deepEqual(
    (await weft("two", "nodes", "--status", "pending")).map((node: Json) => node.id),
    ["validator-002"],
  );
  const stranger = await run(WEFT, ["approve", "validator-002", "--signaler", http, ...keys("two")]);
  assert.equal(stranger.code, 1);
  assert.match(stranger.err, /not-sovereign/);
  // No key is made for a decision, and none is signed for another key than the one that was told.
  const nowhere = join(dir, "nowhere");
  const keyless = await run(WEFT, ["approve", "validator-002", "--signaler", http, "--data", nowhere]);
  assert.equal(keyless.code, 1);
  assert.match(keyless.err, /no identity in .*nowhere.*--data/);
  assert.equal(existsSync(nowhere), false);
  const told = ["approve", "validator-002", "--signaler", http, "--key"];
  const another = await run(WEFT, [...told, sovereign, ...keys("sovereign")]);
  assert.equal(another.code, 1);
  assert.match(another.err, /nothing was sent/);
  assert.equal((await weft("sovereign", "approve", "validator-002"))[0].status, "active");
  await weft("one", "heartbeat", "validator-001");
  const active = await weft("two", "nodes", "--status", "active");
  assert.deepEqual(
    active.map((node: Json) => node.id),
    ["validator-001", "validator-002"],
  );
  // It disconnects: one goes on beating, the other does not.
  const response = async (query: string): Promise<Json> =>
    await (await signaler.get(`/nodes${query}`)).json();
  // Once a second: an address has sixty requests a minute.
  let beaten = performance.now();
  await until(
    "validator-002 offline",
    async () => {
      if (performance.now() - beaten >= 1_000) {
        beaten = performance.now();
        await weft("one", "heartbeat", "validator-001");
      }
      return (await response("?status=offline")).nodes.map((node: Json) => node.id);
    },
    (ids: string[]) => ids.includes("validator-002"),
    20_000,
  );
  assert.deepEqual(
    (await response("?status=active")).nodes.map((node: Json) => node.id),
    ["validator-001"],
  );
  // The rest of what a sovereign does.
  assert.equal((await weft("sovereign", "revoke", "validator-002"))[0].status, "revoked");
  assert.equal((await weft("sovereign", "reset", "validator-002"))[0].status, "pending");
  assert.equal(
    (await weft("two", "register", "validator-002", "--host", "elsewhere.ts.net"))[0].status,
    "pending",
  );
  assert.equal((await weft("sovereign", "deny", "validator-002"))[0].status, "denied");
  const second = await id("second");
  await weft("sovereign", "sovereign", "add", second, "--description", "the second");
  await weft("second", "sovereign", "rotate", await id("third"), "--old", sovereign);
  await weft("third", "sovereign", "revoke", second);
  const info = (await (await signaler.get("/info")).json()) as Json;
  assert.deepEqual(info.registry.sovereigns, [await id("third")]);
  assert.equal(parse(second).length, 32);
});
