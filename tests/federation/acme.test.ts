/** Certificates from an ACME authority, got and renewed by the built signaler. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { certificate, freePort, get, Pebble } from "./pebble.ts";
import { directory, Signaler, until } from "./signaler.ts";

const NAME = "signaler.test";
/** An authority and a certificate take this long on a machine that is busy, milliseconds. */
const PATIENCE = 30_000;

/** A signaler that wants a certificate from an authority, of which nothing is there but its address. */
async function asking(
  t: TestContext,
  authority: { directory: string; ca: string },
  port: number,
  dir: string,
) {
  const toml = `
acme = ["${NAME}"]
acme_contact = ["operator@${NAME}"]
acme_directory = "${authority.directory}"
acme_ca = "${authority.ca}"
`;
  return await Signaler.start(t, { toml, port, dir });
}

/** The serial number of the certificate that is shown, if it is one that the root answers for. */
async function shown(port: number, ca: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername: NAME, ca }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

const says = async (signaler: Signaler, text: string) =>
  await until(
    text,
    () => signaler.log,
    (log) => log.includes(text),
    PATIENCE,
  );

test("a_certificate_is_got_from_an_acme_authority_kept_privately_and_used_again_without_it", async (t) => {
  const [port, dir] = [await freePort(), directory(t)];
  const pebble = await Pebble.start(t, { tlsPort: port });
  const first = await asking(t, pebble, port, dir);
  await says(first, "a new certificate is shown");
  const ca = await pebble.root();
  const serial = await shown(port, ca);
  const info = JSON.parse(
    await get({ host: "127.0.0.1", port, path: "/info", ca, servername: NAME }),
  ) as unknown;
  assert.ok(JSON.stringify(info).includes(`wss://${NAME}:${port}`), JSON.stringify(info));

  const cache = join(dir, "acme");
  const kept = () => readdirSync(cache).map((file) => statSync(join(cache, file)).mode & 0o777);
  await until(
    "two private files",
    kept,
    (modes) => modes.length === 2 && modes.every((mode) => mode === 0o600),
  );
  assert.equal(statSync(cache).mode & 0o777, 0o700);
  const secrets = readdirSync(cache).map((file) => readFileSync(join(cache, file), "latin1"));
  assert.ok(secrets.some((secret) => secret.includes("PRIVATE KEY")));

  await first.stop();
  pebble.process.kill("SIGKILL");
  const second = await asking(t, pebble, port, dir);
  await says(second, "the kept certificate is shown");
  assert.equal(await shown(port, ca), serial);
});

test("a_certificate_is_renewed_before_it_ends_and_open_connections_stay", async (t) => {
  const port = await freePort();
  const pebble = await Pebble.start(t, { tlsPort: port, life: 15 });
  const signaler = await asking(t, pebble, port, directory(t));
  await says(signaler, "a new certificate is shown");
  const ca = await pebble.root();
  const serial = await shown(port, ca);
  const open = connect({ host: "127.0.0.1", port, servername: NAME, ca });
  t.after(() => open.destroy());
  let heard = "";
  open.on("data", (data: Buffer) => {
    heard += data.toString("latin1");
  });
  const answers = () => heard.split("HTTP/1.1 200").length - 1;
  // A connection that asks now and then is not closed for its silence.
  const asked = async () => {
    const before = answers();
    open.write(`GET /healthz HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
    await until("an answer over the open connection", answers, (now) => now > before);
  };
  const look = async () => {
    await asked();
    return await shown(port, ca);
  };
  await until("another certificate", look, (now) => now !== serial, PATIENCE);
  await asked();
});

test("an_authority_that_does_not_answer_is_told_in_the_log_and_asked_again", async (t) => {
  const [port, authority, dir] = [await freePort(), await freePort(), directory(t)];
  const own = await certificate(dir);
  const target = { directory: `https://localhost:${authority}/dir`, ca: own.cert };
  const signaler = await asking(t, target, port, dir);
  await says(signaler, "no certificate yet, it is asked for again");
  await assert.rejects(shown(port, ""));

  const pebble = await Pebble.start(t, { tlsPort: port, port: authority, own });
  await says(signaler, "a new certificate is shown");
  await shown(port, await pebble.root());
});

test("wrong_settings_of_acme_are_refused_with_what_to_do", async (t) => {
  const dir = directory(t);
  const open = join(dir, "open");
  mkdirSync(open, { mode: 0o755 });
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["--acme", "https://a.example"], /--acme "https:\/\/a\.example": a host name/],
    [["--acme", "*.a.example"], /a host name/],
    [["--acme", "a.example", "--tls-cert", "a", "--tls-key", "b"], /not from both/],
    [["--acme-contact", "me@a.example"], /--acme DOMAIN/],
    [["--acme", "a.example", "--acme-contact", "me"], /a mail address/],
    [["--acme", "a.example", "--acme-directory", "http://a.example"], /https:\/\//],
    [["--acme", "a.example", "--acme-cache", open], /chmod 700/],
    [["--acme", "a.example", "--acme-ca", join(dir, "none.pem")], /none\.pem/],
  ];
  for (const [args, expected] of cases) {
    const { code, err } = await Signaler.run(t, { args, dir });
    assert.equal(code, 1, `${args.join(" ")}: ${err}`);
    assert.match(err, expected);
  }
});
