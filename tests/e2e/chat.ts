/** Pages of the built chat in Chromium, driven as people do it: by what is on the screen. */
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { FLAGS, program } from "./browser.ts";
import { type Site, serveFolder } from "./site.ts";

const DEMO = fileURLToPath(new URL("../../web/demo/dist", import.meta.url));

/** Chromium and the built demo, for one test. */
export class ChatLab {
  private constructor(
    readonly browser: Browser,
    readonly site: Site,
    readonly signalers: readonly string[],
  ) {}

  static async open(t: TestContext, ...signalers: readonly string[]): Promise<ChatLab> {
    const site = await serveFolder(DEMO);
    t.after(() => site.close());
    const browser = await chromium.launch({ executablePath: program("chromium"), args: FLAGS });
    t.after(() => browser.close());
    return new ChatLab(browser, site, signalers);
  }

  get url(): string {
    const query = this.signalers.map((url) => `signaler=${encodeURIComponent(url)}`).join("&");
    return `${this.site.url}chat/?${query}`;
  }

  /** Somebody with a profile of their own, who has said their name. */
  async person(name: string, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Chatter> {
    const context = await this.browser.newContext(options);
    const page = await context.newPage();
    await page.goto(this.url);
    await page.getByTestId("first-name").fill(name);
    await page.getByTestId("first-start").click();
    const chatter = new Chatter(this, name, context, page);
    await chatter.ready();
    return chatter;
  }

  /** Two people who have become contacts by a link. */
  async friends(one: string, other: string): Promise<[Chatter, Chatter]> {
    const [a, b] = [await this.person(one), await this.person(other)];
    await a.add(await b.link());
    await b.accept(one);
    await a.page.locator(`[data-testid="banner"]`).waitFor({ state: "hidden" });
    return [a, b];
  }
}

/** One person's page. */
export class Chatter {
  constructor(
    readonly lab: ChatLab,
    readonly name: string,
    readonly context: BrowserContext,
    public page: Page,
  ) {}

  /** The chat is on the screen, and a signaler connected. */
  async ready(): Promise<void> {
    await this.page.getByTestId("app").waitFor();
    await this.page.locator(`[data-testid="connection"][data-state="connected"]`).waitFor();
  }

  /** Opens the page again after it was closed. */
  async comesBack(): Promise<void> {
    this.page = await this.context.newPage();
    await this.page.goto(this.lab.url);
    await this.page.getByTestId("app").waitFor();
  }

  /** One's own link. */
  async link(): Promise<string> {
    await this.page.getByTestId("own").click();
    const key = await this.page.locator("#self-key").textContent();
    await this.page.locator("#self-dialog [data-close]").click();
    return `weft:${key}?name=${encodeURIComponent(this.name)}`;
  }

  async add(address: string, note = ""): Promise<void> {
    await this.page.getByTestId("add").click();
    await this.page.getByTestId("add-address").fill(address);
    await this.page.getByTestId("add-note").fill(note);
    await this.page.getByTestId("add-submit").click();
    await this.page.getByTestId("add-dialog").waitFor({ state: "hidden" });
  }

  /** Takes the request of somebody. */
  async accept(name: string): Promise<void> {
    await this.page.getByTestId("request").filter({ hasText: name }).getByRole("button").click();
    await this.page.getByTestId("accept").click();
    await this.page.locator(`[data-testid="banner"]`).waitFor({ state: "hidden" });
  }

  /** Makes a group, and has it open. */
  async founds(name: string): Promise<void> {
    await this.page.getByTestId("add").click();
    await this.page.getByTestId("new-group-name").fill(name);
    await this.page.getByTestId("new-group-submit").click();
    await this.page.getByTestId("with-name").filter({ hasText: name }).waitFor();
  }

  /** Invites a contact into a group. */
  async invites(group: string, name: string): Promise<void> {
    await this.open(group);
    await this.page.getByTestId("with").click();
    await this.page.getByTestId("group-guest").selectOption({ label: name });
    await this.page.getByTestId("group-dialog").getByRole("button", { name: "Invite" }).click();
    await this.page.locator("#group-dialog [data-close]").click();
  }

  async open(name: string): Promise<void> {
    const called = this.page.locator(".row-name").filter({ hasText: name });
    await this.page.getByTestId("conversation").filter({ has: called }).getByRole("button").click();
    await this.page.getByTestId("with-name").filter({ hasText: name }).waitFor();
  }

  async say(text: string): Promise<void> {
    await this.page.getByTestId("compose-input").fill(text);
    await this.page.getByTestId("compose-input").press("Enter");
    await this.line(text).waitFor();
  }

  /** The line with this text. */
  line(text: string): Locator {
    const said = this.page.locator(".text, .erased").filter({ hasText: text });
    return this.page.getByTestId("line").filter({ has: said });
  }

  /** Waits until one's own line is so far. */
  async isSo(text: string, state: string): Promise<void> {
    await this.page
      .locator(`[data-testid="line"][data-state="${state}"]`)
      .filter({ hasText: text })
      .waitFor();
  }

  /** All texts in their order. */
  async texts(): Promise<string[]> {
    return await this.page.getByTestId("line-text").allTextContents();
  }

  /** Chooses something in a line's menu. */
  async choose(text: string, testid: string): Promise<void> {
    await this.line(text).hover();
    await this.line(text).getByTestId("line-menu").click();
    await this.page.getByTestId(testid).click();
  }
}
