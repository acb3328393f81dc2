/** Debian's coturn, on loopback unless said otherwise, with a secret that it shares with whoever hands out credentials. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { directory, endsWith } from "../federation/signaler.ts";
import { program } from "./browser.ts";

const SECRET = "a secret of the tests";

export class Coturn {
  readonly secret = SECRET;
  /** What it said so far. */
  log = "";

  private constructor(
    readonly process: ChildProcess,
    readonly host: string,
    readonly port: number,
  ) {}

  static async start(t: TestContext, host = "127.0.0.1"): Promise<Coturn> {
    const port = await freePort(host);
    const dir = directory(t);
    const args = [
      ...["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers"],
      ...(host.startsWith("127.") ? ["--allow-loopback-peers"] : []),
      ...["--fingerprint", "--use-auth-secret", `--static-auth-secret=${SECRET}`, "--realm=weft.test"],
      ...[`--listening-ip=${host}`, `--relay-ip=${host}`, `--listening-port=${port}`],
      ...["--log-file=stdout", "--simple-log", "--verbose"],
      ...[`--pidfile=${join(dir, "pid")}`, `--userdb=${join(dir, "users")}`],
    ];
    const child = spawn(program("turnserver"), args, { stdio: ["ignore", "pipe", "pipe"] });
    endsWith(t, child);
    const coturn = new Coturn(child, host, port);
    await new Promise<void>((resolve, reject) => {
      const hear = (data: Buffer) => {
        coturn.log += data.toString("utf8");
        if (coturn.log.includes(`UDP listener opened on: ${host}:${port}`)) resolve();
      };
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
      child.once("exit", () => reject(new Error(`turnserver ended: ${coturn.log.slice(-2000)}`)));
    });
    return coturn;
  }

  get url(): string {
    return `turn:${this.host}:${this.port}?transport=udp`;
  }

  /** The same server for who may not send UDP. */
  get tcp(): string {
    return `turn:${this.host}:${this.port}?transport=tcp`;
  }

  /** It answers STUN as well. */
  get stun(): string {
    return `stun:${this.host}:${this.port}`;
  }

  /** Servers as an application configures them, with a credential that expires after so many seconds. */
  servers(life = 600): { urls: string; username: string; credential: string }[] {
    const username = `${Math.floor(Date.now() / 1000) + life}:tests`;
    const credential = createHmac("sha1", SECRET).update(username).digest("base64");
    return [{ urls: this.url, username, credential }];
  }
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
