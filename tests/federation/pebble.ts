/** Debian's pebble, an ACME authority (RFC 8555) for tests, on loopback, for which every name leads to 127.0.0.1. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { program } from "../e2e/browser.ts";
import { directory, endsWith, environment, run, until } from "./signaler.ts";

/** Files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface PebbleOptions {
  /** Where the servers that are to be certified take TLS: an authority in the world knows 443 only. */
  readonly tlsPort: number;
  readonly port?: number;
  /** Of its own pages; a new one if left out. */
  readonly own?: Certificate;
  /** Seconds that a certificate is good for. */
  readonly life?: number;
}

export class Pebble {
  /** What it said so far. */
  log = "";

  private constructor(
    readonly process: ChildProcess,
    readonly port: number,
    readonly management: number,
    /** A file with the certificate of its own pages. */
    readonly ca: string,
  ) {}

  static async start(t: TestContext, options: PebbleOptions): Promise<Pebble> {
    const dir = directory(t);
    const { cert, key } = options.own ?? (await certificate(dir));
    const [port, management, dns, control] = [
      options.port ?? (await freePort()),
      ...[await freePort(), await freePort(), await freePort()],
    ];
    if (management === undefined || dns === undefined || control === undefined) throw new Error("no port");
    const names = spawn(
      program("pebble-challtestsrv"),
      ["-dns01", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${control}`, "-defaultIPv6", ""].concat(
        ["http01", "https01", "tlsalpn01"].map((one) => `-${one}=`),
      ),
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    endsWith(t, names);
    const config = join(dir, "pebble.json");
    const pebble = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: cert,
      privateKey: key,
      httpPort: await freePort(),
      tlsPort: options.tlsPort,
      ...(options.life === undefined ? {} : { certificateValidityPeriod: options.life }),
    };
    writeFileSync(config, JSON.stringify({ pebble }));
    const child = spawn(program("pebble"), ["-config", config, "-dnsserver", `127.0.0.1:${dns}`], {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment({ PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" }),
    });
    endsWith(t, child);
    const authority = new Pebble(child, port, management, cert);
    for (const process of [child, names]) {
      for (const stream of [process.stdout, process.stderr]) {
        stream?.on("data", (data: Buffer) => {
          authority.log += data.toString("utf8");
        });
      }
    }
    const answers = () => authority.#get(port, "/dir").catch((error: Error) => error.message);
    await until("an answer of pebble", answers, (answer) => answer.includes("newOrder"));
    return authority;
  }

  get directory(): string {
    return `https://localhost:${this.port}/dir`;
  }

  /** The certificate that those it gives lead back to. */
  async root(): Promise<string> {
    return await this.#get(this.management, "/roots/0");
  }

  async #get(port: number, path: string): Promise<string> {
    return await get({ host: "localhost", port, path, ca: readFileSync(this.ca, "utf8") });
  }
}

/** The body of a page over TLS. */
export async function get(options: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly ca: string;
  readonly servername?: string;
}): Promise<string> {
  return await new Promise((resolve, reject) => {
    const sent = request({ ...options, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (data: string) => {
        body += data;
      });
      answer.on("end", () => resolve(body));
    });
    sent.on("error", reject);
    sent.end();
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A self-signed certificate for localhost, made by openssl for a day. */
export async function certificate(dir: string): Promise<Certificate> {
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const made = await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ...["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
  ]);
  if (made.code !== 0) throw new Error(made.err);
  return { cert, key };
}
