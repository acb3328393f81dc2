/** A network of its own for a browser: a namespace joined to ours by a cable that can be pulled. Needs root. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { program } from "./browser.ts";

/** Why these tests cannot run here, or false. */
export const NO_NETWORK: string | false = (() => {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    execFileSync("ip", ["netns", "list"], { stdio: "ignore" });
    return false;
  } catch {
    return "ip (iproute2) is not installed; next: cargo xtask setup --tests";
  }
})();

let count = 0;

export class Network {
  private constructor(
    readonly name: string,
    /** Our end's address, reachable from both sides. */
    readonly outside: string,
    /** The other end's address. */
    readonly inside: string,
    /** Starts Chromium in there. */
    readonly chromium: string,
    /** Starts Chromium out here, with the same settings. */
    readonly plain: string,
  ) {}

  static async open(t: TestContext): Promise<Network> {
    sweep();
    count += 1;
    // The last part of our number and a count: several test files may run, and an earlier run may have left one.
    const number = process.pid % 200;
    const name = `weft${process.pid}n${count}`;
    const [outside, inside] = [`10.${number + 10}.${count}.1`, `10.${number + 10}.${count}.2`];
    const cable = `wf${process.pid % 100_000}c${count}`;
    const dir = mkdtempSync(join(tmpdir(), "weft-network-"));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    namespace(t, name);
    ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name);
    ip("address", "add", `${outside}/24`, "dev", cable);
    ip("link", "set", cable, "up");
    ip("-n", name, "address", "add", `${inside}/24`, "dev", "eth0");
    const flags = "--disable-features=WebRtcHideLocalIpsWithMdns";
    const script = (file: string, line: string) => {
      writeFileSync(join(dir, file), `#!/bin/sh\nexec ${line} ${flags} "$@"\n`, { mode: 0o755 });
      return join(dir, file);
    };
    const chromium = script("inside", `ip netns exec ${name} ${program("chromium")}`);
    const plain = script("outside", program("chromium"));
    const network = new Network(name, outside, inside, chromium, plain);
    network.up();
    return network;
  }

  /** Pulls the cable. */
  down(): void {
    ip("-n", this.name, "link", "set", "eth0", "down");
  }

  /** Plugs it in again. */
  up(): void {
    ip("-n", this.name, "link", "set", "eth0", "up");
    ip("-n", this.name, "route", "replace", "default", "via", this.outside, "dev", "eth0");
  }
}

const made = new Set<string>();

/** A namespace that goes with the test, and with this process should that be ended first. */
export function namespace(t: TestContext, name: string): void {
  if (made.size === 0 && process.listenerCount("exit", deleteAll) === 0) process.on("exit", deleteAll);
  ip("netns", "add", name);
  made.add(name);
  t.after(() => {
    ip("netns", "delete", name);
    made.delete(name);
  });
  ip("-n", name, "link", "set", "lo", "up");
}

function deleteAll(): void {
  for (const name of made) ip("netns", "delete", name);
}

/** Deletes what runs that were killed have left: namespaces are named after the process that made them. */
export function sweep(): void {
  let names: string[] = [];
  try {
    names = readdirSync("/run/netns");
  } catch {
    // There has not been any yet.
  }
  for (const name of names) {
    const maker = /^weft(\d+)[a-z]/.exec(name)?.[1];
    if (maker === undefined || isAlive(Number(maker))) continue;
    try {
      ip("netns", "delete", name);
    } catch {
      // Somebody else was faster.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

export function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}
