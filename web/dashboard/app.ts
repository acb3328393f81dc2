/** The dashboard of a signaler: asks it how it is, listens to what happens, and draws both. */

import { $, copy, perFrame, say, show } from "../demo/dom.js";
import { type Change, get, type Health, type Info, type Links, type Node, nodes } from "./api.js";
import { Charts } from "./charts.js";
import { Deciding } from "./deciding.js";
import { type Around, around, links } from "./federation.js";
import { Keeping } from "./keeping.js";
import { Losses } from "./linked.js";
import { report, tell } from "./news.js";
import { Reading } from "./reading.js";
import { RegistryList } from "./registry.js";
import { type Standing, Stream } from "./stream.js";
import { Told } from "./told.js";
import { Topology } from "./topology.js";
import { clock, count, key, span } from "./words.js";

/** Milliseconds between two looks at the counters, on a page that is seen and on one that is not. */
const [LOOK, HIDDEN] = [2_000, 10_000];

/** How it answers: how that looks, and is called. */
const ANSWERS = {
  ok: ["connected", "healthy"],
  "not-stored": ["connecting", "does not store"],
  lost: ["lost", "does not answer"],
} as const;

class Dashboard {
  private readonly topology = new Topology(() => this.registry.seek("pending"));
  private readonly charts = new Charts();
  private readonly keeping = new Keeping(
    () => this.registry.setStanding(this.keeping.standing),
    (text) => this.announce(text),
  );
  private readonly deciding = new Deciding(
    () => this.keeping.key,
    (id, status) => {
      this.announce(`${id} is ${status}.`);
      this.registered.soon();
    },
  );
  private readonly registry = new RegistryList((verb, node) => void this.deciding.open(verb, node));
  private readonly stream: Stream;
  private health: Health | undefined;
  private nodes = new Map<string, Node>();
  /** Read anew now and then though nothing was told: the health of services and heartbeats are not. */
  private readonly registered = new Reading(() => this.readRegistry());
  private links: Links | undefined;
  private readonly linked = new Reading(() => this.readLinks());
  private readonly losses = new Losses();
  /** The signaler's clock, less ours, milliseconds. */
  private ahead = 0;
  private readonly redraw = perFrame(() => {
    this.registry.set(this.nodes, this.ahead);
    this.drawAround();
  });
  private around: Around = { bodies: [], waiting: [] };
  private readonly told = new Told();
  /** When it answered last, and whether it does. */
  private answered = 0;
  private well = true;
  private looking: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const events = new URL("events", location.href);
    events.protocol = events.protocol === "https:" ? "wss:" : "ws:";
    this.stream = new Stream(
      events.href,
      (standing) => this.stands(standing),
      () => {
        this.registered.soon();
        this.linked.soon();
      },
      (change) => this.heard(change),
    );
    say($("host"), location.host);
    document.title = `${location.host} · Weft signaler`;
    const home = new URL(".", location.href);
    home.protocol = events.protocol;
    say($("snippet"), `connect({ signalers: ["${home.href.replace(/\/$/, "")}"] })`);
    $("copy-snippet").addEventListener("click", () => void this.copy($("snippet").textContent ?? ""));
    $("copy-id").addEventListener("click", () => void this.copy(this.health?.id ?? ""));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.look();
    });
    void this.keeping.start();
    void this.look();
    setInterval(() => this.registry.tick(), 1_000);
  }

  /** How it is, again and again. */
  private async look(): Promise<void> {
    clearTimeout(this.looking);
    const mark = this.told.mark();
    try {
      const health = await get<Health>("healthz");
      if (this.health !== undefined && health.uptime_s < this.health.uptime_s) {
        tell("This signaler was started again", "warn");
        this.told.restart();
      }
      this.health = health;
      this.answered = Date.now();
      this.answers(health.unstored === 0 ? "ok" : "not-stored");
      this.stores(health.unstored);
      say($("own-id"), key(health.id));
      $("copy-id").title = health.id;
      say($("facts"), `Version ${health.version}, up for ${span(1000 * health.uptime_s)}`);
      this.drawAround();
      this.charts.add({ ...health, signalers: links(this.around) }, performance.now());
      for (const change of this.told.see(health.siblings, mark)) this.report(change);
      // Somebody may make the key a sovereign at any moment.
      if (this.keeping.standing === "stranger") await this.ask();
    } catch {
      this.answers("lost");
    }
    clearTimeout(this.looking);
    this.looking = setTimeout(() => void this.look(), document.hidden ? HIDDEN : LOOK);
  }

  private answers(how: keyof typeof ANSWERS): void {
    const pill = $("health");
    const before = pill.dataset["state"];
    const well = how !== "lost";
    const [looks, words] = ANSWERS[how];
    pill.dataset["state"] = how;
    pill.className = `signaler ${looks}`;
    say($("health-words"), words);
    show($("trouble"), !well);
    this.well = well;
    // What is shown is not how things are.
    $("board").classList.toggle("stale", !well);
    if (well || before === "lost") return;
    if (this.health !== undefined) say($("facts"), `as of ${clock(this.answered)}`);
    this.charts.pause();
    this.drawAround();
    tell("This signaler does not answer", "bad");
    this.stream.doubt();
  }

  /** Whether its disk takes what it is told. */
  private stores(unstored: number): void {
    const note = $("unstored");
    if (note.hidden !== (unstored === 0))
      tell(
        unstored === 0 ? "What was not stored is" : "The registry is not stored",
        unstored === 0 ? "good" : "bad",
      );
    show(note, unstored > 0);
    if (unstored > 0) say($("unstored-count"), count(unstored, "change"));
  }

  private stands(standing: Standing): void {
    const pill = $("stream");
    const before = pill.dataset["state"];
    pill.dataset["state"] = standing.state;
    pill.className = `signaler ${{ connecting: "connecting", live: "connected", lost: "lost" }[standing.state]}`;
    const words =
      standing.state === "live"
        ? "live"
        : standing.state === "connecting"
          ? "connecting…"
          : `lost, again in ${standing.wait} s`;
    say($("stream-words"), words);
    if (standing.state === "lost") this.told.pause();
    if (standing.state === "lost" && before === "live") tell("The event stream was lost", "warn");
    if (standing.state === "live" && this.health !== undefined) void this.look();
  }

  private heard(change: Change): void {
    this.told.hear(change);
    this.report(change);
    if (change.signaler !== undefined) void this.look();
    if (change.signaler !== undefined || change.type === "links") this.linked.soon();
    if (change.node === undefined) return;
    this.nodes.set(change.node.id, change.node);
    this.redraw();
  }

  private report(change: Change): void {
    report(change, (id) => this.around.bodies.find((body) => body.key === id)?.name);
  }

  private async readRegistry(): Promise<void> {
    const [info, all] = await Promise.all([get<Info & { now_ms: number }>("info"), nodes()]);
    this.nodes = all;
    this.takeIn(info);
    this.ahead = info.now_ms - Date.now();
    this.redraw();
  }

  /** Who else is linked with whom; of registrants it has none. */
  private async readLinks(): Promise<void> {
    this.links = await get<Links>("topology?limit=0");
    this.redraw();
  }

  /** Who may decide now. */
  private async ask(): Promise<void> {
    const info = await get<Info>("info").catch(() => undefined);
    if (info !== undefined) this.takeIn(info);
  }

  private takeIn({ registry }: Info): void {
    this.keeping.setRegistry(registry.network, registry.sovereigns);
  }

  private drawAround(): void {
    if (this.health === undefined) return;
    this.around = around(this.health, this.nodes);
    const among = this.topology.set(this.around, this.links, this.well ? undefined : clock(this.answered));
    for (const [text, tone] of among === undefined ? [] : this.losses.see(among)) tell(text, tone);
  }

  private async copy(text: string): Promise<void> {
    if (await copy(text)) this.announce("Copied.");
    else prompt("Copy this", text);
  }

  /** For a moment, in a corner, and for screen readers. */
  private announce(text: string): void {
    const toast = $("toast");
    say(toast, "");
    say(toast, text);
    toast.classList.add("there");
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => toast.classList.remove("there"), 4_000);
  }

  private toasting: ReturnType<typeof setTimeout> | undefined;
}

new Dashboard();
