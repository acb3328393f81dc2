/** Debian's coturn on loopback, with a secret that it shares with whoever hands out credentials. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { directory, endsWith } from "../federation/signaler.ts";
import { program } from "./browser.ts";

const SECRET = "a secret of the tests";
const HOST = "127.0.0.1";

export class Coturn {
  readonly secret = SECRET;
  /** What it said so far. */
  log = "";

  private constructor(
    readonly process: ChildProcess,
    readonly port: number,
  ) {}

  static async start(t: TestContext): Promise<Coturn> {
    const port = await freePort();
    const dir = directory(t);
    const args = [
      ...["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers", "--allow-loopback-peers"],
      ...["--fingerprint", "--use-auth-secret", `--static-auth-secret=${SECRET}`, "--realm=weft.test"],
      ...[`--listening-ip=${HOST}`, `--relay-ip=${HOST}`, `--listening-port=${port}`],
      ...["--log-file=stdout", "--simple-log", "--verbose"],
      ...[`--pidfile=${join(dir, "pid")}`, `--userdb=${join(dir, "users")}`],
    ];
    const child = spawn(program("turnserver"), args, { stdio: ["ignore", "pipe", "pipe"] });
    endsWith(t, child);
    const coturn = new Coturn(child, port);
    await new Promise<void>((resolve, reject) => {
      const hear = (data: Buffer) => {
        coturn.log += data.toString("utf8");
        if (coturn.log.includes(`UDP listener opened on: ${HOST}:${port}`)) resolve();
      };
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
      child.once("exit", () => reject(new Error(`turnserver ended: ${coturn.log.slice(-2000)}`)));
    });
    return coturn;
  }

  get url(): string {
    return `turn:${HOST}:${this.port}?transport=udp`;
  }

  /** Servers as an application configures them, with a credential that expires after so many seconds. */
  servers(life = 600): { urls: string; username: string; credential: string }[] {
    const username = `${Math.floor(Date.now() / 1000) + life}:tests`;
    const credential = createHmac("sha1", SECRET).update(username).digest("base64");
    return [{ urls: this.url, username, credential }];
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
