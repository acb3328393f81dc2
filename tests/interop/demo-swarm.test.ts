/** The demo of the signaler in ten tabs, with two `weft` commands among them: a swarm that goes on as tabs close. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { Lab } from "../e2e/browser.ts";
import { Graph } from "../federation/graph.ts";
import { Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";

const PARTY = "demo";
const TABS = 10;
const CLOSED = 5;
/** Links of one peer at most: the active view of 5, and 2 more for those who come. */
const MOST_LINKS = 7;
/** How long the others may take to be one swarm again, and to forget who went, milliseconds. */
const HEALED = 30_000;

/** In a tab: itself, and the links that it draws. */
const DRAWN = `({
  own: document.querySelector('[data-testid="swarm-node"].own')?.getAttribute("data-peer") ?? "",
  links: [...document.querySelectorAll('[data-testid="swarm-link"]')].map((line) => ({
    from: line.getAttribute("data-from"),
    to: line.getAttribute("data-to"),
    own: line.classList.contains("own"),
  })),
})`;

test("d11_ten_tabs_of_the_demo_and_two_native_peers_stay_one_swarm_as_tabs_close", async (t) => {
  const signaler = await Signaler.start(t, { args: ["--open"] });
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url], party: PARTY };
  const reader = Weft.start(t, "subscribe", [], options);
  const writer = Weft.start(t, "publish", ["--stay"], options);
  const demo = new URL(`/demo/?party=${PARTY}`, signaler.url.replace(/^ws/, "http")).href;
  // One after the other: a busy machine loads one page in time, if not ten.
  let tabs: Tab[] = [];
  for (let n = 0; n < TABS; n += 1) tabs.push(await Tab.open(lab, `${demo}&name=Tab+${n}`));
  const natives = await Promise.all([reader, writer].map(({ data }) => peerOf(data)));
  await connected(tabs, natives);

  // From a command to all, and from a tab to all.
  writer.write({ round: 1, from: "command" });
  await tabs[0]?.publish({ round: 1, from: "tab" });
  await everybodyHas(tabs, reader, 1);

  // Those with the most links close, one right after another.
  const links = await Promise.all(
    tabs.map(async (tab) => ({ tab, count: (await tab.drawn()).linked.length })),
  );
  links.sort((one, other) => other.count - one.count);
  const closing = links.slice(0, CLOSED).map(({ tab }) => tab);
  tabs = tabs.filter((tab) => !closing.includes(tab));
  for (const tab of closing) await tab.page.close({ runBeforeUnload: true });
  const closed = performance.now();
  await connected(tabs, natives);
  t.diagnostic(`one swarm again ${Math.round(performance.now() - closed)} ms after ${CLOSED} tabs closed`);

  writer.write({ round: 2, from: "command" });
  await tabs[0]?.publish({ round: 2, from: "tab" });
  await everybodyHas(tabs, reader, 2);
  for (const tab of tabs) {
    const { linked } = await tab.drawn();
    assert.ok(linked.length <= MOST_LINKS, `a tab draws ${linked.length} links of its own`);
  }
});

class Tab {
  #published = 0;

  private constructor(readonly page: Page) {}

  /** Opens the demo and subscribes to everything. */
  static async open(lab: Lab, url: string): Promise<Tab> {
    const page = await (await lab.browser.newContext()).newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(url);
    await page.getByTestId("app").waitFor();
    await page.getByTestId("query-input").fill("{}");
    await page.getByTestId("query-subscribe").click();
    return new Tab(page);
  }

  async publish(document: object): Promise<void> {
    await this.page.getByTestId("document-input").fill(JSON.stringify(document));
    await this.page.getByTestId("document-publish").click();
    this.#published += 1;
  }

  /** Which peer it is, whom it is linked with, and the links of others that it has heard of. */
  async drawn(): Promise<Drawn> {
    const { own, links } = (await this.page.evaluate(DRAWN)) as {
      readonly own: string;
      readonly links: readonly { readonly from: string; readonly to: string; readonly own: boolean }[];
    };
    return {
      own,
      linked: links.filter((link) => link.own).map(({ from, to }) => (from === own ? to : from)),
      others: links.filter((link) => !link.own).map(({ from, to }) => [from, to] as const),
    };
  }

  /** How many others it lists. */
  async people(): Promise<number> {
    return await this.page.getByTestId("person").count();
  }

  /** Whether it shows everything that was published but its own, and nothing twice. */
  async matches(published: number): Promise<boolean> {
    const count = Number(await this.page.getByTestId("match-count").getAttribute("data-count"));
    assert.ok(count <= published - this.#published, `${count} matches of ${published} documents`);
    return count === published - this.#published;
  }
}

interface Drawn {
  readonly own: string;
  readonly linked: readonly string[];
  readonly others: readonly (readonly [string, string])[];
}

/** Waits until everybody lists everybody and nobody else, and the links that they draw make one swarm of all. */
async function connected(tabs: readonly Tab[], natives: readonly string[]): Promise<void> {
  const size = tabs.length + natives.length;
  const look = async () => {
    const drawn = await Promise.all(tabs.map((tab) => tab.drawn()));
    const graph = new Graph([...drawn.map(({ own }) => own), ...natives]);
    for (const { own, linked, others } of drawn) {
      for (const other of linked) graph.link(own, other);
      // What is between the commands is known by hearsay only.
      for (const [from, to] of others)
        if (natives.includes(from) && natives.includes(to)) graph.link(from, to);
    }
    return { islands: graph.islands(), people: await Promise.all(tabs.map((tab) => tab.people())) };
  };
  await until(
    "swarm of one piece",
    look,
    ({ islands, people }) => islands[0] === size && people.every((count) => count === size - 1),
    HEALED,
  );
}

/** Waits until all tabs and the command have what was published in so many rounds: exactly that. */
async function everybodyHas(tabs: readonly Tab[], reader: Weft, rounds: number): Promise<void> {
  await until(
    `documents of ${rounds} rounds everywhere`,
    async () => await Promise.all(tabs.map((tab) => tab.matches(2 * rounds))),
    (complete) => complete.every(Boolean),
    HEALED,
  );
  await reader.count(2 * rounds);
  const seen = reader.lines.map(({ json }) => `${json.data.round} ${json.data.from}`).sort();
  const all = Array.from({ length: rounds }, (_, n) => [`${n + 1} command`, `${n + 1} tab`]).flat();
  assert.deepEqual(seen, all);
}

/** The peer of a command that has been started just now: its keys are made by then or soon. */
async function peerOf(data: string): Promise<string> {
  return await until(
    "peer of the command",
    async () => await Weft.peer(data).catch(() => ""),
    (peer) => peer !== "",
  );
}
