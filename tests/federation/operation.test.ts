/** Running a signaler: arguments, files, pages, certificates, stopping. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { directory, HASTY, run, Signaler, until } from "./signaler.ts";
import { closeCode } from "./wire/codes.ts";
import { same } from "./wire/keys.ts";
import { From, Peer } from "./wire/peer.ts";
import { Refused, Socket } from "./wire/socket.ts";

test("a_signaler_stops_gracefully_even_if_asked_the_moment_it_listens", async (t) => {
  for (let n = 0; n < 5; n += 1) {
    const a = await Signaler.start(t);
    assert.deepEqual(await a.stop(), { code: 0, signal: null });
  }
});

test("ctrl_c_stops_gracefully_and_a_second_one_at_once", async (t) => {
  const a = await Signaler.start(t);
  // One that does not read its close holds the first up.
  const stuck = await Peer.connect(a.url);
  const peer = await Peer.connect(a.url);
  stuck.socket.pause();
  a.process.kill("SIGINT");
  const goodbye = await peer.inbox.take(From.Goodbye);
  assert.equal(goodbye.fields.get(0), 15, "shutting-down");
  const said = performance.now();
  a.process.kill("SIGINT");
  assert.deepEqual(await a.ended(), { code: 0, signal: null });
  assert.ok(performance.now() - said < 1000);
});

test("a_signaler_whose_peers_do_not_answer_stops_within_five_seconds", async (t) => {
  const a = await Signaler.start(t);
  const stuck = await Peer.connect(a.url);
  stuck.socket.pause();
  const asked = performance.now();
  assert.deepEqual(await a.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - asked < 5500);
});

test("n9_the_port_and_the_database_of_the_environment_are_honoured", async (t) => {
  const dir = directory(t);
  const file = join(dir, "elsewhere.db");
  const port = await freePort();
  const env = { MESH_PORT: String(port), MESH_DB_PATH: file };
  const a = await Signaler.start(t, { env });
  assert.equal(a.port, port);
  assert.equal(statSync(file).mode & 0o777, 0o600, "it holds the signaler's key");
  assert.equal((await a.health()).id, a.idText);
  await a.stop();
  // The key is in the database: the same file is the same signaler.
  const again = await Signaler.start(t, { env });
  assert.equal(again.idText, a.idText);
  await again.stop();
  // The command line is stronger.
  const other = join(dir, "other.db");
  const told = await Signaler.start(t, { env, args: ["--listen", "127.0.0.1:0", "--data", other] });
  assert.notEqual(told.port, port);
  assert.notEqual(told.idText, a.idText);
});

test("the_command_line_is_stronger_than_the_environment_and_that_than_the_file", async (t) => {
  const toml =
    'network = "of-the-file"\nport = 1\nlisten = "127.0.0.1"\nopen = true\n[limits]\nttl_ms = 5000\n';
  const network = async (a: Signaler) =>
    ((await (await a.get("/info")).json()) as { registry: { network: string } }).registry.network;
  const env = { MESH_PORT: String(await freePort()) };
  // MESH_PORT keeps the harness from naming a port; the address is the file's.
  const file = await Signaler.start(t, { toml, env });
  assert.equal(file.port, Number(env.MESH_PORT));
  assert.equal(new URL(file.url).hostname, "127.0.0.1");
  assert.equal(await network(file), "of-the-file");
  await file.stop();
  const more = { WEFT_NETWORK: "of-the-environment", WEFT_LISTEN: "127.0.0.1:0" };
  const environment = await Signaler.start(t, { toml, env: { ...env, ...more } });
  assert.equal(await network(environment), "of-the-environment");
  assert.notEqual(environment.port, Number(env.MESH_PORT));
  const { limits } = (await (await environment.get("/info")).json()) as { limits: { ttl_ms: number } };
  assert.equal(limits.ttl_ms, 5000, "what nobody else says is the file's");
  const args = ["--network", "of-the-command-line"];
  const line = await Signaler.start(t, { toml, env: more, args });
  assert.equal(await network(line), "of-the-command-line");

  // A sibling by the environment, admitted by the one file that says `open`, and not by the one that was overruled.
  const sibling = { WEFT_SIBLING: `${line.url},ws://127.0.0.1:9`, WEFT_LISTEN: "127.0.0.1:0" };
  await (await Signaler.start(t, { toml: HASTY, env: sibling })).siblings(1);
  const closed = await Signaler.start(t, { toml, env: { WEFT_OPEN: "false" } });
  const refused = await Signaler.start(t, { toml: HASTY, args: ["--sibling", closed.url] });
  await until(
    "a refusal",
    () => refused.log,
    (log) => log.includes("does not let us in"),
  );
  await closed.siblings(0);
});

test("a_certificate_is_read_again_without_dropping_a_connection", async (t) => {
  const [first, second, other] = [await certificate(t), await certificate(t), await certificate(t)];
  const dir = directory(t);
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  copyFileSync(first.cert, cert);
  copyFileSync(first.key, key);
  const a = await Signaler.start(t, { args: ["--tls-cert", cert, "--tls-key", key] });
  const peer = await Peer.connect(`wss://localhost:${a.port}`, { ca: first.ca });
  const discovery = randomBytes(32);
  await peer.announce(discovery);

  // The half of another pair changes nothing, and is told.
  copyFileSync(second.cert, cert);
  a.process.kill("SIGHUP");
  await until(
    "a line about what does not belong together",
    () => a.log,
    (log) => log.includes("do not belong together"),
  );
  assert.match(await https(a.port, first.ca), /"status": "ok"/);
  copyFileSync(second.key, key);
  a.process.kill("SIGHUP");
  await until(
    "the second certificate",
    () => https(a.port, second.ca).catch(String),
    (said) => said.includes('"status": "ok"'),
  );
  await assert.rejects(https(a.port, first.ca), /certificate|self.signed/i);

  // Without being asked, too.
  copyFileSync(other.cert, cert);
  copyFileSync(other.key, key);
  await until(
    "the third certificate",
    () => https(a.port, other.ca).catch(String),
    (said) => said.includes('"status": "ok"'),
    30_000,
  );
  await peer.announce(discovery);
  assert.equal((await peer.forward(peer.id, Buffer.from("still here"))).toString(), "ack");
  assert.equal((await a.stop()).code, 0);
});

test("what_an_operator_gets_wrong_is_told_with_what_to_do", async (t) => {
  const dir = directory(t);
  const a = await Signaler.start(t);
  const taken = String(a.port);
  writeFileSync(join(dir, "nothing.pem"), "nothing\n");
  const pem = join(dir, "nothing.pem");
  const cases: readonly (readonly [readonly string[], string, readonly RegExp[]])[] = [
    [["--listen", `127.0.0.1:${taken}`], "", [/in use/, /--listen/, new RegExp(taken)]],
    [["--listen", "nowhere"], "", [/--listen/, /127\.0\.0\.1:8190/]],
    [["--sibling", "b.example"], "", [/b\.example/, /ws:\/\/host:8190/]],
    [["--sibling", "z6Mkwrong@ws://b.example"], "", [/z6Mkwrong/, /--print-id/]],
    [["--public-url", "http://a.example"], "", [/--public-url/, /ws:\/\//]],
    [["--data", dir], "", [/database|mesh\.db|directory/i]],
    [["--data", join(dir, "no/such/place/mesh.db")], "", [/no\/such\/place/]],
    [["--config", join(dir, "none.toml")], "", [/none\.toml/]],
    [["--tls-cert", pem, "--tls-key", pem], "", [/nothing\.pem/, /certificate/]],
    [["--tls-cert", pem], "", [/--tls-key/]],
    [[], "[limits]\nttl_msec = 5\n", [/ttl_msec/, /ttl_ms/]],
    [[], "[limits]\nttl_ms = 5\n", [/ttl_ms/, /1000/]],
    [[], '[limits]\nttl_ms = "soon"\n', [/ttl_ms/]],
    [[], "[[sibling]]\n", [/sibling/, /url/]],
    [[], 'listen = "127.0.0.1:0"\npublic_uri = "ws://a"\n', [/line 2/, /public_uri/, /public_url/]],
    [["--node-id", "a"], "", [/--register-with/]],
    [[], 'tls_cert = "a.pem"\n', [/tls_key/]],
    [[], "listen = \n", [/weft\.toml/]],
    [["--no-such-flag"], "", [/--no-such-flag/, /--help/]],
  ];
  for (const [args, toml, expected] of cases) {
    const { code, signal, out, err } = await Signaler.run(t, toml === "" ? { args } : { args, toml });
    const about = `${args.join(" ")} ${toml}\n${err}`;
    assert.ok(code !== 0 && signal === null, `ended with ${code} ${signal}: ${about}`);
    assert.equal(out, "", about);
    for (const words of expected) assert.match(err, words, about);
    assert.ok(!/panicked|RUST_BACKTRACE/.test(err), about);
  }
  assert.equal((await a.health()).status, "ok");
});

test("help_and_version_are_printed", async (t) => {
  const [help, version] = [
    await Signaler.run(t, { args: ["--help"] }),
    await Signaler.run(t, { args: ["--version"] }),
  ];
  assert.deepEqual([help.code, version.code], [0, 0]);
  for (const flag of [
    "--listen",
    "--data",
    "--sibling",
    "--config",
    "--open",
    "--public-url",
    "--tls-cert",
  ]) {
    assert.ok(help.out.includes(flag), flag);
  }
  assert.match(version.out, /^weft-signaler \d+\.\d+\.\d+/);
});

test("n4_healthz_metrics_and_info_say_what_is", async (t) => {
  const a = await Signaler.start(t, { toml: HASTY });
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(a.url)];
  const discovery = randomBytes(32);
  await one.announce(discovery);
  await two.announce(discovery);
  assert.equal(await one.forward(two.id, Buffer.from("x")), "ack");
  await one.fanout(discovery, Buffer.from("x"));

  const health = await a.health();
  assert.ok(Math.abs(health.now_ms - Date.now()) < 60_000, String(health.now_ms));
  assert.ok(health.received_bytes > 500 && health.sent_bytes > 500);
  assert.deepEqual(
    { ...health, uptime_s: 0, now_ms: 0, version: "", received_bytes: 0, sent_bytes: 0, sent_frames: 0 },
    {
      status: "ok",
      unstored: 0,
      version: "",
      id: a.idText,
      uptime_s: 0,
      now_ms: 0,
      connections: 2,
      peers: 2,
      swarms: 1,
      local_swarms: 1,
      // None of one member, one of two or three.
      swarm_sizes: [0, 1],
      entries: 2,
      pending: 0,
      delivered: 1,
      fanned: 1,
      received_frames: 6,
      received_bytes: 0,
      sent_frames: 0,
      sent_bytes: 0,
      dropped: 0,
      refused: {},
      siblings: [],
      members: [],
    },
  );
  const metrics = await a.metrics();
  assert.equal(metrics.types.get("weft_delivered_total"), "counter");
  assert.equal(metrics.types.get("weft_peers"), "gauge");
  // Each says what it is, in a sentence of its own.
  assert.deepEqual([...metrics.helps.keys()].sort(), [...metrics.types.keys()].sort());
  assert.equal(new Set(metrics.helps.values()).size, metrics.helps.size);
  for (const [name, help] of metrics.helps) {
    assert.match(help, /^[A-Z].{15,}\.$/, name);
    assert.equal(metrics.types.get(name), name.endsWith("_total") ? "counter" : "gauge", name);
  }
  for (const [name, value] of Object.entries({
    weft_connections: 2,
    weft_peers: 2,
    weft_swarms: 1,
    weft_local_swarms: 1,
    weft_entries: 2,
    weft_pending_forwards: 0,
    weft_siblings: 0,
    weft_members: 0,
    weft_members_active: 0,
    weft_authenticated_total: 2,
    weft_delivered_total: 1,
    weft_fanned_total: 1,
    weft_forged_entries_total: 0,
    weft_overflows_total: 0,
  })) {
    assert.equal(metrics.get(name), value, name);
  }
  assert.ok(metrics.get("weft_peer_bytes_total") > 500 && metrics.get("weft_sent_bytes_total") > 500);

  const answer = await a.get("/info");
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  const info = (await answer.json()) as { id: string; protocols: string[]; limits: Record<string, number> };
  assert.equal(info.id, a.idText);
  assert.deepEqual(info.protocols, ["weft.v1", "weft-federation.v1"]);
  assert.equal(info.limits["ttl_ms"], 2000, "as configured");
  assert.equal(info.limits["frame_bytes"], 256 * 1024);
  assert.equal((await a.get("/nowhere")).status, 404);
  assert.equal((await a.get("/")).status, 200);
});

test("the_dashboard_of_grafana_names_only_metrics_that_there_are", async (t) => {
  const a = await Signaler.start(t);
  const { values } = await a.metrics();
  const known = new Set([...values.keys()].map((name) => name.replace(/\{.*/, "")));
  const file = new URL("../../signaler/deploy/grafana.json", import.meta.url);
  const board = JSON.parse(readFileSync(file, "utf8")) as {
    panels: { title: string; type: string; targets?: { expr: string }[] }[];
  };
  const named = new Set<string>();
  for (const { title, type, targets } of board.panels) {
    if (type === "row") continue;
    assert.ok(targets?.length, `${title} asks for nothing`);
    for (const { expr } of targets) {
      const names = expr.match(/\bweft_\w+/g) ?? [];
      assert.ok(names.length > 0, `${title}: ${expr}`);
      for (const name of names) {
        assert.ok(known.has(name), `${title}: there is no metric ${name}`);
        named.add(name);
        // A counter is of use as a rate, a gauge as it is.
        const counter = name.endsWith("_total");
        assert.equal(new RegExp(`(?:rate|increase)\\(${name}`).test(expr), counter, `${title}: ${expr}`);
      }
    }
  }
  // And there is no metric that nobody looks at.
  assert.deepEqual(
    [...known].filter((name) => !named.has(name)),
    [],
  );
});

test("a_socket_without_a_protocol_in_common_is_answered_with_those_there_are", async (t) => {
  const a = await Signaler.start(t);
  const refused = await Socket.open(a.url, "weft.v99").then(
    () => assert.fail("it was accepted"),
    (error: unknown) => error,
  );
  assert.ok(refused instanceof Refused && refused.status === 400, String(refused));
  assert.ok(refused.body.includes("weft.v1") && refused.body.includes("weft-federation.v1"), refused.body);
});

test("wss_and_https_are_served_with_a_certificate_of_ones_own", async (t) => {
  const { cert, key, ca } = await certificate(t);
  const a = await Signaler.start(t, { args: ["--tls-cert", cert, "--tls-key", key, "--open"] });
  assert.ok(a.url.startsWith("wss://"));
  const url = `wss://localhost:${a.port}`;
  const peers = [await Peer.connect(url, { ca }), await Peer.connect(url, { ca })] as const;
  const largest = randomBytes(255 * 1024);
  assert.equal(await peers[0].forward(peers[1].id, largest), "ack");
  assert.ok(same(await peers[1].delivered(), largest));
  await assert.rejects(Socket.open(url, "weft.v1"), /self.signed|certificate/i);
  assert.match(await https(a.port, ca), /"status": "ok"/);

  // Siblings reach it over TLS if they trust the certificate, and not otherwise.
  const b = await Signaler.start(t, { toml: HASTY, args: ["--sibling", url, "--sibling-ca", cert] });
  await b.siblings(1);
  const far = await Peer.connect(b.url);
  assert.equal(await far.forward(peers[0].id, Buffer.from("over tls"), a.id), "ack");
  const c = await Signaler.start(t, { toml: HASTY, args: ["--sibling", url] });
  await until(
    "a line about the certificate",
    () => c.log,
    (log) => /certificate/i.test(log),
  );
  await c.siblings(0);

  // Plain HTTP at that port costs it nothing.
  await assert.rejects(fetch(`http://localhost:${a.port}/healthz`));
  assert.match(await https(a.port, ca), /"status": "ok"/);
  assert.equal((await a.stop()).code, 0);
  assert.equal((await peers[0].closed).code, closeCode("shutting-down"));
});

test("a_log_in_json_is_one_object_per_line_and_holds_no_whole_id_of_a_peer", async (t) => {
  const a = await Signaler.start(t, { args: ["--log-format", "json"] });
  const peer = await Peer.connect(a.url);
  const discovery = randomBytes(32);
  await peer.announce(discovery);
  await peer.socket.close();
  await a.stop();
  const lines = a.log.trim().split("\n");
  assert.ok(lines.length >= 1);
  for (const line of lines) assert.equal(typeof (JSON.parse(line) as { level: string }).level, "string");
  assert.ok(!a.log.includes(discovery.toString("hex")));
});

interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** A self-signed certificate for localhost, made by openssl for a day. */
async function certificate(t: TestContext): Promise<Certificate> {
  const dir = directory(t);
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const made = await run(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "1",
    ].concat(
      ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
    ),
  );
  assert.equal(made.code, 0, made.err);
  return { cert, key, ca: readFileSync(cert, "utf8") };
}

async function https(port: number, ca: string): Promise<string> {
  const sent = request({ host: "localhost", port, path: "/healthz", ca, agent: false });
  sent.end();
  const [answer] = (await once(sent, "response")) as [AsyncIterable<Buffer>];
  let body = "";
  for await (const data of answer) body += data.toString("utf8");
  return body;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
