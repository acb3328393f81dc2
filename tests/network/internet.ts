/**
 * Networks that are hard to cross, of namespaces: an internet, which is a bridge in a namespace of its own, and homes on it,
 * each a client behind a NAT. This process is a host on that internet: what tests start as usual, with `host`, is reached
 * from every home. Needs root.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { program } from "../e2e/browser.ts";
import { ip, NO_NETWORK, namespace, sweep } from "../e2e/network.ts";

/** Why these tests cannot run here, or false. */
export const NO_INTERNET: string | false = (() => {
  if (NO_NETWORK !== false) return NO_NETWORK;
  const name = `weft${process.pid}x`;
  try {
    for (const needed of ["nft", "turnserver"]) program(needed);
    ip("netns", "add", name);
    ip("-n", name, "link", "add", "br0", "type", "bridge");
    rules(name, ["add table ip t", "add chain ip t c { type nat hook postrouting priority srcnat; }"]);
    ip("netns", "delete", name);
    return false;
  } catch (error) {
    return `this machine makes no NAT in network namespaces: ${(error as Error).message.split("\n")[0]}`;
  }
})();

/**
 * What a NAT does (RFC 4787, sections 4.1 and 5). `full-cone` keeps the port whoever the other side is and lets anybody
 * in; `restricted-cone` keeps it and lets in who was written to; `symmetric` takes another port for each other side.
 */
export type Nat = "full-cone" | "restricted-cone" | "symmetric";

let count = 0;

export class Internet {
  private homes = 0;

  private constructor(
    private readonly t: TestContext,
    private readonly name: string,
    private readonly net: string,
    private readonly dir: string,
  ) {}

  static open(t: TestContext): Internet {
    sweep();
    count += 1;
    const name = `weft${process.pid}i${count}`;
    const net = `10.${(process.pid % 200) + 10}.${100 + count}`;
    const cable = `wf${process.pid % 100_000}i${count}`;
    const dir = mkdtempSync(join(tmpdir(), "weft-internet-"));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const internet = new Internet(t, name, net, dir);
    namespace(t, name);
    ip("-n", name, "link", "add", "br0", "type", "bridge");
    ip("-n", name, "link", "set", "br0", "up");
    ip("link", "add", cable, "type", "veth", "peer", "name", "us", "netns", name);
    ip("-n", name, "link", "set", "us", "master", "br0", "up");
    ip("address", "add", `${internet.host}/24`, "dev", cable);
    ip("link", "set", cable, "up");
    return internet;
  }

  /** This process's address on it. */
  get host(): string {
    return `${this.net}.1`;
  }

  /** A client behind a NAT of its own. */
  home(nat: Nat): Home {
    this.homes += 1;
    const n = this.homes;
    const [router, client] = [`${this.name}r${n}`, `${this.name}c${n}`];
    for (const space of [router, client]) namespace(this.t, space);
    ip("link", "add", "ext", "netns", router, "type", "veth", "peer", "name", `h${n}`, "netns", this.name);
    ip("-n", this.name, "link", "set", `h${n}`, "master", "br0", "up");
    ip("link", "add", "eth0", "netns", client, "type", "veth", "peer", "name", "int", "netns", router);
    ip("-n", router, "address", "add", `${this.net}.${10 + n}/24`, "dev", "ext");
    ip("-n", router, "address", "add", `192.168.${n}.1/24`, "dev", "int");
    for (const device of ["ext", "int"]) ip("-n", router, "link", "set", device, "up");
    inside(router, "sysctl", "-qw", "net.ipv4.ip_forward=1");
    ip("-n", client, "address", "add", `192.168.${n}.2/24`, "dev", "eth0");
    const wrapper = join(this.dir, `chromium${n}`);
    writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${client} ${program("chromium")} "$@"\n`, {
      mode: 0o755,
    });
    const home = new Home(router, client, `192.168.${n}.1`, wrapper);
    home.plug();
    const random = nat === "symmetric" ? " fully-random" : "";
    const stranger =
      nat === "full-cone"
        ? [
            "add chain ip nat back { type nat hook prerouting priority dstnat; }",
            `add rule ip nat back iifname "ext" meta l4proto udp dnat to 192.168.${n}.2`,
          ]
        : ['add rule ip filter through iifname "ext" ct state new drop'];
    rules(router, [
      "add table ip nat",
      "add chain ip nat out { type nat hook postrouting priority srcnat; }",
      `add rule ip nat out oifname "ext" masquerade${random}`,
      "add table ip filter",
      "add chain ip filter in { type filter hook input priority 0; }",
      "add chain ip filter through { type filter hook forward priority 0; }",
      // What comes before the client has written there must not take the port in the table of connections.
      'add rule ip filter in iifname "ext" ct state new drop',
      ...stranger,
    ]);
    return home;
  }
}

/** A client behind a NAT. */
export class Home {
  constructor(
    private readonly router: string,
    private readonly client: string,
    private readonly gateway: string,
    /** Starts Chromium there. */
    readonly chromium: string,
  ) {}

  /** Put before a command line, it runs there. */
  get within(): readonly string[] {
    return ["ip", "netns", "exec", this.client];
  }

  /** No UDP passes the router, in or out, as in some offices. */
  blockUdp(): void {
    rules(this.router, ["add rule ip filter through meta l4proto udp drop"]);
  }

  /** Pulls the cable: the client knows that it is offline. */
  unplug(): void {
    ip("-n", this.client, "link", "set", "eth0", "down");
  }

  /** Plugs it in again. */
  plug(): void {
    ip("-n", this.client, "link", "set", "eth0", "up");
    ip("-n", this.client, "route", "replace", "default", "via", this.gateway, "dev", "eth0");
  }

  /** Nothing passes any more, and nobody says so. */
  cut(): void {
    rules(this.client, [
      "add table ip cut",
      "add chain ip cut in { type filter hook input priority 0; }",
      "add chain ip cut out { type filter hook output priority 0; }",
      'add rule ip cut in iifname "eth0" drop',
      'add rule ip cut out oifname "eth0" drop',
    ]);
  }

  /** It passes again. */
  mend(): void {
    rules(this.client, ["delete table ip cut"]);
  }
}

function inside(name: string, ...command: string[]): void {
  execFileSync("ip", ["netns", "exec", name, ...command], { stdio: ["ignore", "ignore", "inherit"] });
}

/** All of them or none, in the order given. */
function rules(name: string, lines: readonly string[]): void {
  const command = ["netns", "exec", name, "nft", "-f", "-"];
  execFileSync("ip", command, { input: `${lines.join("\n")}\n`, stdio: ["pipe", "ignore", "pipe"] });
}
