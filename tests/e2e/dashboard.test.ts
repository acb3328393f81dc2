/** The dashboard of the built signaler in Chromium, and its main path in Firefox. */
import assert from "node:assert/strict";
import { createPrivateKey, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { launch } from "puppeteer-core";
import { directory, HASTY, run, Signaler, type SignalerOptions, until } from "../federation/signaler.ts";
import { triangle } from "../federation/triangle.ts";
import { PROGRAM, Weft } from "../federation/weft.ts";
import { Key, show } from "../federation/wire/keys.ts";
import { Peer } from "../federation/wire/peer.ts";
import { type Json, Statements } from "../federation/wire/registry.ts";
import { derive } from "./blake3.ts";
import { FLAGS, program } from "./browser.ts";

/** Limits with which the dead are known within some seconds. Milliseconds. */
const QUICK = `[limits]
probe_ms = 300
suspect_ms = 1500
redial_min_ms = 100
redial_max_ms = 500
`;
const SEED = Buffer.alloc(32, 9);
const SEED_TEXT = SEED.toString("hex");
/** The identity of {@link SEED}, by docs/spec/crypto.md, section 1. */
const SOVEREIGN = new Key(derive("weft/v1/identity-signing", SEED));
const PATIENCE = 20_000;
const HOST = "validator.example";

/** A signaler whose sovereign is {@link SOVEREIGN}. */
async function sovereigns(t: TestContext, options: SignalerOptions = {}): Promise<Signaler> {
  const args = ["--sovereign", show(SOVEREIGN.id), ...(options.args ?? [])];
  return await Signaler.start(t, { toml: QUICK, ...options, args });
}

/** A page with the dashboard, and all that went wrong in it. */
class Board {
  readonly wrong: string[] = [];
  /** Whatever the page has asked for: method, URL and body. */
  readonly asked: string[] = [];

  private constructor(
    readonly page: Page,
    readonly signaler: Signaler,
  ) {
    page.on("pageerror", (error) => this.wrong.push(String(error)));
    page.on("console", (message) => {
      // A refusal or an absence is also a line of the browser's own.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        this.wrong.push(message.text());
    });
    page.on("dialog", (dialog) => {
      this.wrong.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) =>
      this.asked.push(`${request.method()} ${request.url()} ${request.postData() ?? ""}`),
    );
    page.on("websocket", (socket) => this.asked.push(`SOCKET ${socket.url()}`));
  }

  static async open(
    t: TestContext,
    signaler: Signaler,
    options: BrowserContextOptions = {},
    prepare: (page: Page) => Promise<unknown> = async () => {},
  ): Promise<Board> {
    const browser = await chromium.launch({ executablePath: program("chromium"), args: FLAGS });
    const page = await (await browser.newContext(options)).newPage();
    t.after(async () => {
      // A question that is on its way through here when a test ends is nobody's any more.
      await page.unrouteAll({ behavior: "ignoreErrors" }).catch(() => {});
      await browser.close();
    });
    page.setDefaultTimeout(PATIENCE);
    const board = new Board(page, signaler);
    await prepare(page);
    await page.goto(board.url);
    return board;
  }

  get url(): string {
    return this.signaler.url.replace(/^ws/, "http");
  }

  async text(id: string): Promise<string> {
    return (await this.page.getByTestId(id).textContent()) ?? "";
  }

  /** Waits until an expression about the page holds; asked from outside, for the page's policy lets nobody evaluate. */
  async until(expression: string): Promise<void> {
    try {
      await until(expression, async () => await this.page.evaluate(expression), Boolean, PATIENCE);
    } catch {
      const seen = await this.page.locator("main").textContent();
      throw new Error(`${expression} did not hold; ${this.wrong.join("; ")}; the page:\n${seen}`);
    }
  }

  /** Waits until an element of this test id has this state. */
  async stands(id: string, state: string): Promise<void> {
    await this.until(`document.querySelector('[data-testid="${id}"]')?.dataset.state === "${state}"`);
  }

  /** Waits until somebody in the registry has this status. */
  async registered(id: string, status: string): Promise<void> {
    await this.page.locator(`[data-testid="node"][data-id="${id}"][data-status="${status}"]`).waitFor();
  }

  async said(words: string): Promise<void> {
    await this.page.getByTestId("news").filter({ hasText: words }).first().waitFor();
  }

  async import(text: string): Promise<void> {
    await this.page.getByTestId("key-import").click();
    await this.page.getByTestId("import-text").fill(text);
    await this.page.getByTestId("import-save").click();
  }

  /** Opens the dialog about somebody, and signs. */
  async decide(verb: string, id: string): Promise<void> {
    await this.page.getByRole("button", { name: `${verb} ${id}` }).click();
    await this.page.getByTestId("deciding-sign").click();
  }
}

/** Registers somebody; the answer is awaited. */
async function register(signaler: Signaler, id: string, host = HOST, type = "ledger"): Promise<Key> {
  const key = new Key();
  const services = [{ type, port: 8080, publicKey: show(key.id) }];
  const body = new Statements(signaler.id).register(key, id, host, services);
  const answer = await fetch(`${signaler.url.replace(/^ws/, "http")}/register`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 201, await answer.text());
  return key;
}

/** Decides about somebody as {@link SOVEREIGN}, from outside the page. */
async function decide(signaler: Signaler, verb: "approve" | "revoke", id: string): Promise<void> {
  const node: Json = await (await signaler.get(`/nodes/${id}`)).json();
  const body = new Statements(signaler.id).decide(verb, SOVEREIGN, node);
  const url = `${signaler.url.replace(/^ws/, "http")}/${verb}/${id}`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}

/** Where the marks of the picture are: what they are, and their boxes on the screen. */
interface Mark {
  readonly mark: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}
/** Widths and heights of what it is looked at on. */
const SCREENS = [
  [1280, 800],
  [375, 740],
  [320, 600],
] as const;

const BOXES = `[...document.querySelectorAll('[data-testid="spot"] > [data-testid="mark"]')].map((one) => {
  const { left, right, top, bottom } = one.getBoundingClientRect();
  return { mark: one.dataset.mark, left, right, top, bottom };
})`;

/** The marks in the picture, none of which overlap. */
async function marksOf(board: Board): Promise<readonly Mark[]> {
  const marks = (await board.page.evaluate(BOXES)) as Mark[];
  apart(marks);
  return marks;
}

function apart(marks: readonly Mark[]): void {
  for (const [n, one] of marks.entries())
    for (const other of marks.slice(n + 1))
      assert.ok(
        one.right <= other.left ||
          other.right <= one.left ||
          one.bottom <= other.top ||
          other.bottom <= one.top,
        `two marks overlap: ${JSON.stringify([one, other])}`,
      );
}

test("n13_the_topology_is_live_and_a_killed_signaler_is_shown_as_gone", async (t) => {
  const middle = await sovereigns(t, { args: ["--open"] });
  const call = { toml: QUICK, args: ["--open", "--sibling", middle.url] };
  const board = await Board.open(t, middle);
  await board.stands("stream", "live");
  await board.stands("health", "ok");
  const other = await Signaler.start(t, call);
  const name = new URL(other.url).host;
  await board.said(`${name} is linked`);
  const third = await Signaler.start(t, call);
  await board.until(`document.querySelectorAll('[data-testid="spot"][data-state="up"]').length === 2`);
  assert.match(await board.text("topology-size"), /2 of 2 other signalers linked/);
  const total = () => board.page.getByTestId("total").textContent();
  await until("how many are linked, of how many", total, (text) => text?.trim() === "of 2");
  const told = board.page.getByTestId("news").filter({ hasText: `${name} is linked` });
  assert.equal(await told.count(), 1, "what the stream tells is told once");

  await other.kill();
  await board.said(`${name} is gone`);
  const gone = board.page.locator(`[data-testid="around"][data-state="gone"]`);
  await gone.waitFor();
  assert.match((await gone.textContent()) ?? "", new RegExp(name));
  assert.equal(await board.page.locator(`[data-testid="spot"][data-state="gone"]`).count(), 1);
  assert.match(await board.text("topology-size"), /1 of 2 other signalers linked/);
  const left = await board.page.locator(`[data-testid="around"][data-state="up"]`).textContent();
  assert.match(left ?? "", new RegExp(new URL(third.url).host));

  // Nobody else was asked for anything, and nothing was forbidden by the page's own policy.
  const policy = (await middle.get("/")).headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'.*connect-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  const own = new URL(middle.url).host;
  assert.deepEqual(
    board.asked.filter((line) => new URL(line.split(" ")[1] ?? "").host !== own),
    [],
  );
  assert.deepEqual(board.wrong, []);
});

test("n13_a_lost_signaler_is_said_so_and_the_page_finds_it_again", async (t) => {
  const dir = directory(t);
  const first = await sovereigns(t, { dir });
  await register(first, "before");
  const board = await Board.open(t, first);
  await board.stands("stream", "live");
  await board.registered("before", "pending");
  await first.kill();
  await board.stands("stream", "lost");
  await board.stands("health", "lost");
  await board.page.getByTestId("trouble").waitFor();
  await board.said("The event stream was lost");
  // What is shown is said to be old, and looks so.
  assert.match(await board.text("topology-size"), /as of \d/);
  assert.match((await board.page.locator("#facts").textContent()) ?? "", /^as of \d/);
  const looks = `[...document.querySelectorAll(".charts, .federation")].map((one) => getComputedStyle(one).filter)`;
  assert.deepEqual(await board.page.evaluate(looks), ["grayscale(1)", "grayscale(1)"]);
  const again = await sovereigns(t, { dir, port: first.port });
  await register(again, "meanwhile");
  await board.stands("stream", "live");
  await board.stands("health", "ok");
  // What the stream could not tell is read.
  await board.registered("meanwhile", "pending");
  await board.page.getByTestId("trouble").waitFor({ state: "hidden" });
  assert.doesNotMatch(await board.text("topology-size"), /as of/);
  assert.deepEqual(await board.page.evaluate(looks), ["none", "none"]);
  await register(again, "after");
  await board.said("after waits for a decision");
});

test("n13_a_disk_that_takes_nothing_is_said_so_until_it_does", async (t) => {
  const signaler = await sovereigns(t);
  await register(signaler, "ledger-1");
  let unstored = 0;
  const board = await Board.open(t, signaler, {}, async (page) => {
    await page.route("**/healthz", async (route) => {
      const json: Json = await (await route.fetch()).json();
      await route.fulfill({ json: { ...json, unstored, status: unstored === 0 ? "ok" : "not-stored" } });
    });
    // What is said counts all the same.
    await page.route("**/approve/*", async (route) => {
      await route.fetch();
      const error = { code: "not-stored", message: "it counts, and could not be stored yet" };
      await route.fulfill({ status: 503, json: { error } });
    });
  });
  await board.stands("health", "ok");
  await board.page.getByTestId("unstored").waitFor({ state: "hidden" });
  unstored = 3;
  await board.stands("health", "not-stored");
  await board.page
    .getByTestId("unstored")
    .filter({ hasText: "3 changes of the registry not stored" })
    .waitFor();
  await board.said("The registry is not stored");
  // It answers, and is shown as it is.
  await board.page.getByTestId("trouble").waitFor({ state: "hidden" });
  await board.import(SEED_TEXT);
  await board.decide("Approve", "ledger-1");
  await board.page.getByTestId("deciding-problem").filter({ hasText: "not-stored" }).waitFor();
  assert.equal(await board.page.getByTestId("deciding-sign").isDisabled(), true, "it is done");
  await board.page.getByTestId("deciding-cancel").click();
  await board.registered("ledger-1", "active");
  unstored = 0;
  await board.stands("health", "ok");
  await board.page.getByTestId("unstored").waitFor({ state: "hidden" });
  await board.said("What was not stored is");
  assert.deepEqual(board.wrong, []);
});

test("n13_counters_move_when_peers_join_and_nobody_is_named", async (t) => {
  const signaler = await sovereigns(t);
  const board = await Board.open(t, signaler);
  await board.until(`document.querySelector('[data-testid="now-peers"]').textContent === "0"`);
  const swarm = randomBytes(32);
  const peers = await Promise.all(Array.from({ length: 3 }, () => Peer.connect(signaler.url)));
  for (const peer of peers) await peer.announce(swarm);
  await board.until(`document.querySelector('[data-testid="now-peers"]').textContent === "3"`);
  await board.until(`document.querySelector('[data-testid="now-entries"]').textContent === "3"`);
  await board.until(`/2–3\\s*1/.test(document.querySelector('[data-testid="sizes"]').innerText)`);
  assert.match(
    (await board.page.getByTestId("chart-peers").getAttribute("aria-label")) ?? "",
    /Peers: now 3; 0 to 3/,
  );
  // Rates rise with the frames of the peers, and fall to nothing after them.
  const moved = (id: string) =>
    board.until(
      `/ 0(?: B)? to (?!0)/.test(document.querySelector('[data-testid="chart-${id}"]').getAttribute("aria-label"))`,
    );
  await moved("frames");
  await moved("bytes");
  const everything = [
    await board.page.content(),
    ...(await Promise.all(
      ["healthz", "topology", "info"].map(async (path) => await (await signaler.get(`/${path}`)).text()),
    )),
  ].join("\n");
  for (const peer of peers) assert.ok(!everything.includes(show(peer.id)), "a peer is named");
  for (const form of ["hex", "base64", "base64url"] as const)
    assert.ok(!everything.includes(swarm.toString(form)), "a discovery key is told");
  assert.ok(!everything.includes(show(swarm)));
});

test("n13_an_approval_signed_in_the_page_admits_a_registrant", async (t) => {
  const keys = directory(t);
  const identity = await Weft.identity(keys);
  const sovereign = ["--sovereign", identity];
  const toml = QUICK;
  const signaler = await Signaler.start(t, { toml, args: sovereign });
  const http = signaler.url.replace(/^ws/, "http");
  const joining = await Signaler.start(t, {
    toml,
    args: [...sovereign, "--register-with", http, "--node-id", "second"],
  });
  const board = await Board.open(t, signaler);
  await board.registered("second", "pending");
  assert.match(await board.text("topology-size"), /no other signaler, 1 waits for a decision/);
  assert.equal(await board.page.getByTestId("approve").count(), 0, "nobody decides without a key");
  await board.page.getByTestId("key-import").click();
  const file = join(keys, "identity.seed");
  await board.page.getByTestId("import-file").setInputFiles(file);
  await board.page.getByTestId("import-save").click();
  await board.page.getByTestId("key-standing").getByText("sovereign here", { exact: true }).waitFor();
  assert.equal(await board.text("key-text"), identity);
  await board.page.getByTestId("approve").click();
  const facts = board.page.getByTestId("deciding-facts");
  await facts.getByText(joining.idText, { exact: true }).waitFor();
  assert.match((await facts.textContent()) ?? "", new RegExp(`signaler on port ${joining.port}`));
  await board.page.getByTestId("deciding-sign").click();
  await board.registered("second", "active");
  await board.said("second is active");
  await signaler.siblings(1);
  await board.page.locator(`[data-testid="around"][data-state="up"]`, { hasText: "second" }).waitFor();

  // The key outlives the page, and can only sign.
  await board.page.reload();
  await board.page.getByTestId("revoke").waitFor();
  assert.deepEqual(
    await board.page.evaluate(`new Promise((done) => {
      indexedDB.open("weft-dashboard", 1).onsuccess = ({ target }) => {
        target.result.transaction("keys").objectStore("keys").get("sovereign").onsuccess = ({ target }) => {
          const { secret } = target.result;
          crypto.subtle.exportKey("pkcs8", secret).then(() => done("readable"), () => done([secret.extractable, secret.usages]));
        };
      };
    })`),
    [false, ["sign"]],
  );
  await board.decide("revoke", "second");
  await board.registered("second", "revoked");
  await signaler.siblings(0);
  await board.decide("reset", "second");
  await board.registered("second", "pending");
  await board.decide("deny", "second");
  await board.registered("second", "denied");
  const sent = board.asked.join("\n");
  assert.match(sent, /POST .*\/approve\/second \{.*"signature"/);
  const seed = Buffer.from(readFileSync(file, "utf8").trim(), "hex");
  assert.equal(seed.length, 32);
  for (const secret of [seed, Buffer.from(derive("weft/v1/identity-signing", seed))])
    assert.ok(
      !sent.includes(secret.toString("hex")) && !sent.includes(secret.toString("base64")),
      "the private key was sent",
    );
  await board.page.getByTestId("key-forget").click();
  await board.page.getByTestId("forget-sure").click();
  await board.page.getByTestId("key-make").waitFor();
  await board.page.reload();
  await board.registered("second", "denied");
  assert.equal(await board.page.getByTestId("reset").count(), 0);
  assert.deepEqual(board.wrong, []);
});

test("n13_who_is_no_sovereign_decides_nothing_and_is_told_how_to_become_one", async (t) => {
  const signaler = await sovereigns(t);
  await register(signaler, "waiting");
  const board = await Board.open(t, signaler);
  await board.registered("waiting", "pending");
  await board.page.getByTestId("key-make").click();
  await board.page.getByTestId("key-standing").filter({ hasText: "not a sovereign here" }).waitFor();
  assert.equal(await board.page.getByTestId("approve").isDisabled(), true);
  assert.equal(await board.page.getByTestId("deny").isDisabled(), true);
  await board.page.getByTestId("undecided").filter({ hasText: "not a sovereign’s" }).waitFor();

  // What is written there, said to a shell, makes it one; the page notices.
  const key = await board.text("key-text");
  const keys = directory(t);
  writeFileSync(join(keys, "identity.seed"), `${SEED_TEXT}\n`, { mode: 0o600 });
  const line = await board.text("key-add");
  assert.equal(line, `weft sovereign add ${key} --signaler ${board.url.replace(/\/$/, "")} --data DIR`);
  const words = line.split(" ").map((word) => (word === "DIR" ? keys : word));
  const { code, err } = await run(PROGRAM, words.slice(1));
  assert.equal(code, 0, err);
  await board.page.getByTestId("key-standing").getByText("sovereign here", { exact: true }).waitFor();
  await board.page.getByTestId("undecided").waitFor({ state: "hidden" });
  await board.decide("approve", "waiting");
  await board.registered("waiting", "active");
  assert.deepEqual(board.wrong, []);
});

test("n13_without_a_sovereign_the_page_says_how_there_comes_to_be_one", async (t) => {
  const dir = directory(t);
  const first = await Signaler.start(t, { toml: QUICK, dir });
  await register(first, "waiting");
  const board = await Board.open(t, first);
  await board.page.getByTestId("key-words").filter({ hasText: "it has no sovereign" }).waitFor();
  assert.match(await board.text("key-words"), /--sovereign KEY/);
  await board.page.getByTestId("key-make").click();
  await board.page.getByTestId("undecided").filter({ hasText: "no sovereign yet" }).waitFor();
  assert.equal(await board.page.getByTestId("approve").isDisabled(), true);
  const line = await board.text("key-add");
  assert.equal(line, `--sovereign ${await board.text("key-text")}`);
  // Started as it says, with the database that it has.
  await first.stop();
  await Signaler.start(t, { toml: QUICK, dir, port: first.port, args: line.split(" ") });
  await board.page.getByTestId("key-standing").getByText("sovereign here", { exact: true }).waitFor();
  await board.decide("approve", "waiting");
  await board.registered("waiting", "active");
});

test("n13_a_key_of_openssl_is_taken_as_it_is", async (t) => {
  const signaler = await Signaler.start(t, { toml: QUICK });
  const board = await Board.open(t, signaler);
  const secret = randomBytes(32);
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = createPrivateKey({ key: Buffer.concat([prefix, secret]), format: "der", type: "pkcs8" });
  await board.import(key.export({ format: "pem", type: "pkcs8" }).toString());
  await board.until(
    `document.querySelector('[data-testid="key-text"]').textContent === "${show(new Key(secret).id)}"`,
  );
});

test("n13_the_signalers_error_is_shown_to_who_holds_a_wrong_key", async (t) => {
  const signaler = await sovereigns(t);
  await register(signaler, "waiting");
  // A page that thinks too well of a key, as after a sovereign was revoked elsewhere.
  const other = randomBytes(32);
  const believed = show(new Key(derive("weft/v1/identity-signing", other)).id);
  const board = await Board.open(t, signaler, {}, (page) =>
    page.route("**/info", async (route) => {
      const response = await route.fetch();
      const json: Json = await response.json();
      json.registry.sovereigns.push(believed);
      await route.fulfill({ response, json });
    }),
  );
  await board.registered("waiting", "pending");
  await board.import("no key at all");
  await board.page.getByTestId("import-problem").filter({ hasText: "64 hexadecimal digits" }).waitFor();
  await board.page.keyboard.press("Escape");
  await board.import(other.toString("hex"));
  await board.page.getByTestId("key-standing").getByText("sovereign here", { exact: true }).waitFor();
  assert.equal(await board.text("key-text"), believed);
  await board.decide("approve", "waiting");
  await board.page.getByTestId("deciding-problem").filter({ hasText: "not-sovereign" }).waitFor();
  await board.page.getByTestId("deciding-cancel").click();
  assert.equal(((await (await signaler.get("/nodes/waiting")).json()) as Json).status, "pending");
});

test("n13_nothing_is_signed_that_the_registrant_has_not_signed", async (t) => {
  const signaler = await sovereigns(t);
  await register(signaler, "waiting");
  for (const [altered, words] of [
    [{ body: /6578616d706c65/, by: "6576696c2e6575" }, /was not signed by the one it names/],
    [{ head: "ab".repeat(32) }, /something else than it shows/],
  ] as const) {
    const board = await Board.open(t, signaler, {}, (page) =>
      page.route("**/nodes/waiting", async (route) => {
        const response = await route.fetch();
        const json: Json = await response.json();
        if ("head" in altered) json.head = altered.head;
        else {
          assert.match(json.registration.body, altered.body);
          json.registration.body = json.registration.body.replace(altered.body, altered.by);
        }
        await route.fulfill({ response, json });
      }),
    );
    await board.registered("waiting", "pending");
    await board.import(SEED_TEXT);
    await board.page.getByTestId("approve").click();
    await board.page.getByTestId("deciding-problem").filter({ hasText: words }).waitFor();
    assert.equal(await board.page.getByTestId("deciding-sign").isDisabled(), true);
    await board.page.keyboard.press("Enter");
    assert.deepEqual(
      board.asked.filter((line) => line.startsWith("POST")),
      [],
    );
  }
});

test("n13_everything_is_done_with_the_keyboard_alone", async (t) => {
  const signaler = await sovereigns(t);
  await register(signaler, "waiting");
  const board = await Board.open(t, signaler);
  await board.registered("waiting", "pending");
  const { keyboard } = board.page;
  /** Tabs to an element; on the way everything that has the focus shows it. */
  const tab = async (wanted: string): Promise<void> => {
    for (let steps = 0; steps < 60; steps += 1) {
      await keyboard.press("Tab");
      const [id, outline, name] = (await board.page.evaluate(`(() => {
        const { activeElement: at } = document;
        const style = getComputedStyle(at);
        return [at.dataset.testid ?? "", style.outlineStyle + " " + style.outlineWidth, at.outerHTML.slice(0, 200)];
      })()`)) as [string, string, string];
      if (!name.startsWith("<body"))
        assert.match(outline, /^(?:solid|auto) [1-9]/, `no focus is seen at ${name}`);
      if (id === wanted) return;
    }
    assert.fail(`Tab does not reach ${wanted}`);
  };
  await tab("key-import");
  await keyboard.press("Enter");
  await tab("import-text");
  await keyboard.type(SEED_TEXT);
  await tab("import-save");
  await keyboard.press("Enter");
  await board.page.getByTestId("key-text").waitFor();
  await tab("search");
  await keyboard.type("nobody");
  await board.until(`document.querySelector('[data-testid="found"]').textContent.startsWith("0 ")`);
  for (const _ of "nobody") await keyboard.press("Backspace");
  await tab("filter-pending");
  await keyboard.press("Space");
  assert.equal(await board.page.getByTestId("filter-pending").getAttribute("aria-pressed"), "true");
  await tab("approve");
  await keyboard.press("Enter");
  await board.until(`document.activeElement.dataset.testid === "deciding-sign"`);
  await keyboard.press("Enter");
  await board.page.getByTestId("deciding").waitFor({ state: "hidden" });
  await until(
    "an approval",
    async () => ((await (await signaler.get("/nodes/waiting")).json()) as Json).status,
    (status) => status === "active",
  );
  await board.page.getByTestId("toast").filter({ hasText: "waiting is active" }).waitFor();
  for (const id of ["toast", "found"])
    assert.equal(await board.page.getByTestId(id).getAttribute("role"), "status");
  assert.equal(await board.page.getByTestId("news-list").getAttribute("role"), "log");
});

test("n13_a_phone_scrolls_down_only_and_dark_and_calm_are_respected", async (t) => {
  const signaler = await sovereigns(t, { args: ["--open"] });
  await Signaler.start(t, { toml: QUICK, args: ["--open", "--sibling", signaler.url] });
  await register(
    signaler,
    `a-registrant-with-${"a-very-long-name-".repeat(2)}indeed`,
    `${"h".repeat(60)}.${"x".repeat(60)}.example`,
  );
  const board = await Board.open(t, signaler, {
    viewport: { width: 360, height: 740 },
    colorScheme: "dark",
    reducedMotion: "reduce",
  });
  await board.page.getByTestId("node").waitFor();
  await board.page.getByTestId("spot").first().waitFor();
  await board.import(SEED_TEXT);
  await board.page.getByTestId("approve").waitFor();
  const wide = `document.documentElement.scrollWidth - document.documentElement.clientWidth`;
  for (const width of [320, 360, 390, 480, 600, 700, 860, 1000, 1280, 1920]) {
    await board.page.setViewportSize({ width, height: 740 });
    assert.equal(await board.page.evaluate(wide), 0, `${width} px`);
  }
  await board.page.setViewportSize({ width: 360, height: 740 });
  await board.page.getByTestId("approve").click();
  await board.page.getByTestId("deciding-facts").getByText("ledger on port").waitFor();
  assert.equal(await board.page.evaluate(wide), 0, "with a dialog");
  const small = `[...document.querySelectorAll("dialog[open] button, .choices button")].filter((one) => one.getBoundingClientRect().height < 36).length`;
  assert.equal(await board.page.evaluate(small), 0, "buttons are large enough for a finger");
  const light = (text: string) => Number(/\d+/.exec(text)?.[0]);
  const colours = `[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color]`;
  const [ground, ink] = (await board.page.evaluate(colours)) as [string, string];
  assert.ok(light(ground) < 50 && light(ink) > 200, `${ink} on ${ground}`);
  assert.match(
    (await board.page.evaluate(`getComputedStyle(document.querySelector(".shape")).transition`)) as string,
    /none/,
  );
  await board.page.emulateMedia({ colorScheme: "light" });
  const [paper, text] = (await board.page.evaluate(colours)) as [string, string];
  assert.ok(light(paper) > 200 && light(text) < 60, `${text} on ${paper}`);
});

test("n13_hostile_names_are_shown_as_text", async (t) => {
  const signaler = await sovereigns(t);
  const evil = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
  const node = {
    ...{
      id: evil,
      public_key: evil,
      tailscale_hostname: evil,
      tailscale_ip: evil,
      status: "active",
      lapsed: false,
    },
    services: [{ type: evil, port: 1, publicKey: evil }],
    health: [{ type: evil, port: 1, healthy: false, checked_at: 1 }],
    ...{ addresses: [], registered_at: 1, decided_at: 1, last_heartbeat: 1, head: evil },
  };
  const board = await Board.open(t, signaler, {}, async (page) => {
    await page.route("**/nodes?*", (route) => route.fulfill({ json: { nodes: [node], next: null } }));
    await page.route("**/info", async (route) => {
      const json: Json = await (await route.fetch()).json();
      json.registry.network = evil;
      await route.fulfill({ json });
    });
    await page.route("**/healthz", async (route) => {
      const json: Json = await (await route.fetch()).json();
      json.siblings = [{ id: null, url: `ws://${evil}`, up: true }];
      json.members = [{ id: evil, url: evil, since_ms: 1, active: false }];
      await route.fulfill({ json: { ...json, version: evil, id: evil, refused: { [evil]: 3 } } });
    });
    await page.routeWebSocket("**/events", (socket) => {
      socket.send(JSON.stringify({ type: "hello" }));
      socket.send(JSON.stringify({ type: "active", at: 1, node: { ...node, id: `${evil}2` } }));
      socket.send(JSON.stringify({ type: "member-down", at: 1, signaler: { id: "k", url: evil } }));
      socket.send(JSON.stringify({ type: evil, at: 1, signaler: { id: evil, url: evil } }));
    });
  });
  await board.page.getByTestId("node").first().waitFor();
  await board.said("is active");
  await board.page.getByTestId("spot").first().waitFor();
  await board.page.getByTestId("reasons").getByText("onerror").waitFor();
  for (const id of ["node", "around", "news"])
    assert.match(
      (await board.page.getByTestId(id).last().textContent()) ?? "",
      /<img src=x onerror="alert\(1\)">/,
      id,
    );
  assert.equal(await board.page.locator("img, [onerror], body script").count(), 0);
  assert.deepEqual(board.wrong, []);
});

test("n13_strangers_do_not_fill_the_page", async (t) => {
  const signaler = await sovereigns(t, { args: ["--open"] });
  await Signaler.start(t, { toml: QUICK, args: ["--open", "--sibling", signaler.url] });
  await signaler.siblings(1);
  const long = "W".repeat(64);
  const host = `${`${"a".repeat(62)}.`.repeat(3)}${"a".repeat(61)}`;
  for (const id of ["ledger-1", long]) {
    await register(signaler, id, host);
    await decide(signaler, "approve", id);
  }
  const board = await Board.open(t, signaler);
  await board.registered("ledger-1", "active");
  await board.stands("stream", "live");
  for (let n = 0; n < 50; n += 1)
    await register(signaler, n === 0 ? `V${long.slice(1)}` : `stranger-${n}`, host);
  await board.page.getByTestId("waiting").filter({ hasText: "50 wait" }).waitFor();
  assert.match(
    await board.text("topology-size"),
    /^1 of 1 other signaler linked, 2 other registrants, 50 wait for a decision$/,
  );
  // One mark for all that wait, one line of news, and one line in the list of all.
  for (const [width, height] of SCREENS) {
    await board.page.setViewportSize({ width, height });
    const marks = await marksOf(board);
    assert.equal(marks.filter(({ mark }) => mark === "registrant waiting").length, 1, `${width} px`);
    const rows = (await board.page.evaluate(
      `[...document.querySelectorAll('[data-testid="around"], [data-testid="node"]')].map((one) => one.getBoundingClientRect().height)`,
    )) as number[];
    assert.equal(rows.length, 5);
    assert.ok(Math.max(...rows) < 180, `${width} px: a row of ${Math.max(...rows)} px`);
  }
  await board.page.setViewportSize({ width: 1280, height: 800 });
  const news = await board.page.getByTestId("news").allTextContents();
  assert.equal(news.filter((line) => line.includes("wait")).length, 1, news.join("\n"));
  assert.match(news.join("\n"), /V+W* and 49 others wait for a decision/);
  assert.equal(await board.page.locator('[data-testid="node"][data-status="pending"]').count(), 0);
  await board.page.getByTestId("see-waiting").click();
  await board.page.getByTestId("found").filter({ hasText: "50 registrants found" }).waitFor();
  assert.equal(await board.page.getByTestId("node").count(), 25);
  await board.page.getByTestId("more").filter({ hasText: "Show 25 more" }).click();
  assert.equal(await board.page.getByTestId("node").count(), 50);
  assert.equal(await board.page.getByTestId("more").isVisible(), false);
  assert.deepEqual(board.wrong, []);
});

test("n13_one_mark_means_one_thing_and_lines_are_links", async (t) => {
  const signaler = await sovereigns(t, { args: ["--open"] });
  const other = await Signaler.start(t, { toml: QUICK, args: ["--open", "--sibling", signaler.url] });
  const dying = await Signaler.start(t, { toml: QUICK, args: ["--open", "--sibling", signaler.url] });
  await signaler.siblings(2);
  for (const id of ["validator", "revoked"]) {
    await register(signaler, id, HOST, id === "revoked" ? "signaler" : "ledger");
    await decide(signaler, "approve", id);
  }
  await register(signaler, "apart", HOST, "signaler");
  await decide(signaler, "approve", "apart");
  await register(signaler, "waiting", HOST, "signaler");
  const board = await Board.open(t, signaler);
  await board.registered("revoked", "active");
  await decide(signaler, "revoke", "revoked");
  await board.registered("revoked", "revoked");
  await dying.kill();
  await board.page.locator(`[data-testid="around"][data-state="gone"]`).waitFor();
  assert.equal(
    await board.text("topology-size"),
    "1 of 3 other signalers linked, 1 other registrant, 1 waits for a decision",
  );
  const within = async (selector: string) =>
    (await board.page.evaluate(
      `[...new Set([...document.querySelectorAll('${selector} [data-testid="mark"]')].map((one) => one.dataset.mark))].sort()`,
    )) as string[];
  const picture = await within('[data-testid="topology"]');
  assert.deepEqual(picture, [
    "registrant active",
    "registrant waiting",
    "signaler apart",
    "signaler gone",
    "signaler up",
  ]);
  assert.deepEqual(await within('[data-testid="legend"]'), picture, "the legend has what is in the picture");
  assert.deepEqual(await within('[data-testid="around-list"]'), picture, "the list has the same marks");
  const style = (selector: string) =>
    board.page.evaluate(`[...document.querySelectorAll('${selector}')].map((one) => {
      const { fill, stroke, strokeDasharray } = getComputedStyle(one);
      return [fill, stroke, strokeDasharray].join(" ");
    })`);
  for (const mark of picture) {
    const looks = (await style(`[data-mark="${mark}"] > .shape`)) as string[];
    assert.ok(looks.length >= 3, mark);
    assert.equal(new Set(looks).size, 1, `${mark}: ${looks.join(", ")}`);
  }
  const services = (await board.page.evaluate(
    `[...document.querySelectorAll('[data-testid="legend"] li')].map((one) => one.textContent)`,
  )) as string[];
  assert.ok(services.includes("service, not probed"), services.join(", "));
  // Lines: a link, and one that was lost. No line goes to who has none.
  const lines = await board.page
    .locator(".links line")
    .evaluateAll((all) => all.map((one) => one.getAttribute("class")));
  assert.deepEqual(lines.toSorted(), ["gone", "up"]);
  // Of a sibling that did not register is told what is known.
  const sibling = board.page.locator(`[data-testid="around"][data-state="up"]`);
  const known = (await sibling.textContent()) ?? "";
  assert.match(known, new RegExp(`${new URL(other.url).host}.*z6Mk.*not registered here.*runs since`));
  assert.deepEqual(board.wrong, []);
});

/** How near a line among others comes to the middle of the picture, pixels. */
const NEAREST = `(() => {
  const path = document.querySelector('[data-testid="among"]');
  const { width, height } = document.querySelector('[data-testid="topology"]').viewBox.baseVal;
  const points = Array.from({ length: 101 }, (_, n) => path.getPointAtLength((n / 100) * path.getTotalLength()));
  const middle = document.querySelector('[data-testid="self"]').transform.baseVal.consolidate().matrix;
  const inside = points.every(({ x, y }) => x >= 0 && y >= 0 && x <= width && y <= height);
  return inside ? Math.min(...points.map(({ x, y }) => Math.hypot(x - middle.e, y - middle.f))) : -1;
})()`;

test("n13_a_link_that_is_cut_between_two_others_is_shown_and_shown_mended", async (t) => {
  const { third, ends, hosts, cut, heal } = await triangle(t, HASTY);
  const board = await Board.open(t, third);
  await board.stands("stream", "live");
  const among = (on: Board, ...looks: readonly string[]): Promise<void> =>
    on.until(
      `[...document.querySelectorAll('[data-testid="among"]')].map((one) => one.getAttribute("class")).join(" ") === "${looks.join(" ")}"`,
    );
  const both = (what: string) =>
    new RegExp(`(${hosts.join(" and ")}|${[...hosts].reverse().join(" and ")}) ${what}`);
  const legend = board.page.getByTestId("legend");
  const row = board.page
    .getByTestId("around")
    .filter({ has: board.page.getByText(hosts[0], { exact: true }) });
  await among(board, "both");
  assert.match(
    await board.text("links-known"),
    /^Thin lines are links among the others, as they say themselves\.$/,
  );
  assert.match((await legend.textContent()) ?? "", /linked with each other/);
  assert.match((await row.textContent()) ?? "", new RegExp(`linked with ${hosts[1]}`));
  assert.match((await board.page.getByTestId("among").textContent()) ?? "", both("are linked"));
  assert.equal(await board.page.locator(".links line.up").count(), 2, "its own are as they were");
  const thick = (selector: string): Promise<number> =>
    board.page.evaluate(`parseFloat(getComputedStyle(document.querySelector('${selector}')).strokeWidth)`);
  assert.ok((await thick(".among path")) < (await thick(".links line")));
  for (const [width, height] of SCREENS) {
    await board.page.setViewportSize({ width, height });
    // The line goes around this signaler, not through it.
    await board.until(`${NEAREST} > 30`);
    assert.ok((await board.page.evaluate(`document.documentElement.scrollWidth`)) === width, `${width} px`);
  }

  cut();
  await among(board);
  await board.said("lost their link");
  assert.match(await board.text("links-odd"), both("are not linked with each other\\."));
  assert.equal(await board.page.getByTestId("links-known").isVisible(), false, "there is no thin line");
  assert.match((await board.page.locator("#topology-words").textContent()) ?? "", both("are not linked"));
  assert.match((await row.textContent()) ?? "", new RegExp(`no link with ${hosts[1]}`));
  assert.doesNotMatch((await legend.textContent()) ?? "", /linked with each other/);
  // At one of its ends the other is heard of through the third alone.
  const end = await Board.open(t, ends[0]);
  await among(end, "one");
  const own = new URL(third.url).host;
  const only = `Only ${own} says that it is linked with ${hosts[1]}: ${hosts[1]} is not linked with this signaler`;
  assert.equal(await end.text("among"), only);
  assert.match(await end.text("links-odd"), new RegExp(only));
  assert.match(await end.text("legend"), /linked, as only one side says/);
  const dashes = `getComputedStyle(document.querySelector('[data-testid="among"]')).strokeDasharray`;
  assert.notEqual(await end.page.evaluate(dashes), "none");

  heal();
  await among(board, "both");
  await among(end, "both");
  await board.said("are linked again");
  assert.equal(await board.page.getByTestId("links-odd").isVisible(), false);
  for (const { wrong } of [board, end]) assert.deepEqual(wrong, []);
});

test("n13_a_link_that_the_stream_did_not_tell_is_told", async (t) => {
  const signaler = await sovereigns(t, { args: ["--open"] });
  const board = await Board.open(t, signaler, {}, (page) =>
    page.routeWebSocket("**/events", (socket) => socket.send(JSON.stringify({ type: "hello" }))),
  );
  await board.stands("stream", "live");
  await board.stands("health", "ok");
  const other = await Signaler.start(t, { toml: QUICK, args: ["--open", "--sibling", signaler.url] });
  const name = new URL(other.url).host;
  await board.said(`${name} is linked`);
  await other.kill();
  await board.said(`${name} lost its link`);
  const again = await Signaler.start(t, {
    toml: QUICK,
    dir: other.dir,
    port: other.port,
    args: ["--open", "--sibling", signaler.url],
  });
  await again.siblings(1);
  await board.until(
    `document.querySelector('[data-testid="news"]').textContent.includes("${name} is linked")`,
  );
  const linked = async () =>
    (await board.page.getByTestId("news").allTextContents()).filter((line) =>
      line.includes(`${name} is linked`),
    ).length;
  assert.equal(await linked(), 2);

  // After a restart of the signaler itself, too, the news do not end with what was lost.
  await signaler.kill();
  await board.stands("health", "lost");
  const restarted = await sovereigns(t, { dir: signaler.dir, port: signaler.port, args: ["--open"] });
  await restarted.siblings(1);
  await board.said("This signaler was started again");
  await until("the link is told again", linked, (count) => count === 3, PATIENCE);
  await again.siblings(1);
});

test("n13_a_signaler_that_is_alone_has_one_line_to_say_so", async (t) => {
  const signaler = await Signaler.start(t, { toml: QUICK });
  const board = await Board.open(t, signaler);
  await board.page.getByTestId("alone").waitFor();
  assert.equal(await board.text("topology-size"), "no other signaler");
  for (const id of ["legend", "around-list", "around-more"])
    assert.equal(await board.page.getByTestId(id).isVisible(), false, id);
  const below = await board.page.evaluate(`(() => {
    const end = (one) => one.getBoundingClientRect().bottom;
    return end(document.querySelector(".federation")) - end(document.querySelector('[data-testid="alone"]'));
  })()`);
  assert.ok((below as number) <= 1, `${below} px are empty below it`);
});

test("n13_waiting_signalers_are_no_refusals_to_worry_about", async (t) => {
  const signaler = await sovereigns(t);
  const board = await Board.open(t, signaler, {}, (page) =>
    page.route("**/healthz", async (route) => {
      const json: Json = await (await route.fetch()).json();
      json.refused = { "not-admitted": 15 * json.uptime_s, "too-large": 2, "of-later": 1 };
      await route.fulfill({ json });
    }),
  );
  const rows = board.page.getByTestId("reasons").locator("li");
  await rows.filter({ hasText: "signalers that wait for approval" }).waitFor();
  const words = await rows.evaluateAll((all) => all.map((one) => one.querySelector(".name")?.textContent));
  assert.deepEqual(words, ["too large", "of-later", "signalers that wait for approval"]);
  await board.until(
    `/unchanged for [2-9] s/.test(document.querySelector('[aria-label="Refusals per minute"]').innerText)`,
  );
  assert.equal(await board.text("now-refusals"), "0");
});

test("n13_as_many_signalers_as_there_may_be_have_room_in_the_picture", async (t) => {
  const signaler = await sovereigns(t);
  const members = Array.from({ length: 255 }, (_, n) => ({
    id: show(new Key().id),
    url: `wss://signaler-${String(n).padStart(3, "0")}.example`,
    since_ms: 1,
    active: n % 9 !== 0,
  }));
  let some = members;
  const board = await Board.open(t, signaler, {}, (page) =>
    page.route("**/healthz", async (route) => {
      const json: Json = await (await route.fetch()).json();
      const siblings = some.map(({ id, url }, n) => ({ id, url, up: n % 9 !== 0 && n % 2 === 0 }));
      await route.fulfill({ json: { ...json, members: some, siblings } });
    }),
  );
  for (const amount of [255, 40, 12, 5, 2, 1]) {
    some = members.slice(0, amount);
    await board.page
      .getByTestId("topology-size")
      .filter({ hasText: `of ${amount} other signaler` })
      .waitFor();
    for (const [width, height] of SCREENS) {
      await board.page.setViewportSize({ width, height });
      const picture = '[data-testid="topology"]';
      await board.until(
        `(({ viewBox: { baseVal: drawn } }, seen) => drawn.width === seen.width && drawn.height === seen.height)(
          document.querySelector('${picture}'), document.querySelector('${picture}').getBoundingClientRect())`,
      );
      const marks = await marksOf(board);
      assert.ok(
        marks.length === amount || (marks.length >= 20 && amount > 20),
        `${marks.length} of ${amount}`,
      );
      // Names are not written over each other, either.
      const names = (await board.page.evaluate(
        `[...document.querySelectorAll('${picture} text')].map((one) => {
          const { left, right, top, bottom } = one.getBoundingClientRect();
          return { mark: one.textContent, left, right, top: top + 3, bottom: bottom - 3 };
        })`,
      )) as Mark[];
      apart(names);
      const rest = names.find(({ mark }) => mark.startsWith("and "))?.mark;
      assert.equal(rest, marks.length === amount ? undefined : `and ${amount - marks.length} others`);
    }
  }
  assert.deepEqual(board.wrong, []);
});

test("n13_a_large_registry_is_read_in_pages_and_searched", async (t) => {
  const signaler = await sovereigns(t);
  const all = Array.from({ length: 1_200 }, (_, n) => ({
    ...{
      id: `node-${String(n).padStart(4, "0")}`,
      public_key: show(new Key().id),
      tailscale_hostname: `${n}.example`,
    },
    ...{
      tailscale_ip: null,
      status: n % 100 === 7 ? "pending" : "active",
      lapsed: false,
      services: [],
      health: [],
    },
    ...{ addresses: [], registered_at: 1, decided_at: null, last_heartbeat: null, head: "" },
  }));
  const board = await Board.open(t, signaler, {}, (page) =>
    page.route("**/nodes?*", (route) => {
      const { searchParams: asked } = new URL(route.request().url());
      const from = all.findIndex(({ id }) => id > (asked.get("after") ?? ""));
      const nodes = all.slice(from, from + Number(asked.get("limit")));
      const next = from + nodes.length < all.length ? nodes.at(-1)?.id : null;
      return route.fulfill({ json: { nodes, next } });
    }),
  );
  await board.page.getByTestId("found").filter({ hasText: "1,200 registrants" }).waitFor();
  assert.equal(await board.page.getByTestId("node").count(), 25);
  await board.page.getByTestId("more").filter({ hasText: "Show 100 more of 1,163" }).click();
  assert.equal(await board.page.getByTestId("node").count(), 125);
  assert.equal(await board.page.getByTestId("around").count(), 12);
  await board.page.getByTestId("around-more").filter({ hasText: "Show 60 more of 1,176" }).click();
  assert.equal(await board.page.getByTestId("around").count(), 72);
  await marksOf(board);
  await board.page.getByTestId("folded").filter({ hasText: "12 wait for a decision" }).waitFor();
  await board.page.getByTestId("folded-show").click();
  assert.equal(await board.page.getByTestId("node").first().getAttribute("data-id"), "node-0007");
  assert.equal(await board.page.getByTestId("node").count(), 12);
  await board.page.getByTestId("filter-all").click();
  assert.equal(await board.page.getByTestId("node").count(), 25, "paged anew");
  await board.page.getByTestId("search").fill("1107.EXAMPLE");
  await board.page.getByTestId("found").filter({ hasText: "1 registrant found" }).waitFor();
  assert.equal(await board.page.getByTestId("node").first().getAttribute("data-id"), "node-1107");
  await board.page.getByTestId("filter-active").click();
  await board.page.getByTestId("found").filter({ hasText: "0 registrants found" }).waitFor();
  await board.page.getByTestId("search").fill("");
  await board.page.getByTestId("found").filter({ hasText: "1,188 registrants found" }).waitFor();
  assert.deepEqual(board.wrong, []);
});

test("n13_firefox_is_live_and_signs_an_approval", async (t) => {
  const signaler = await sovereigns(t);
  await register(signaler, "waiting");
  const executablePath = program("firefox-esr");
  const firefox = await launch({
    browser: "firefox",
    protocol: "webDriverBiDi",
    headless: true,
    executablePath,
  });
  t.after(() => firefox.close());
  const page = await firefox.newPage();
  await page.goto(signaler.url.replace(/^ws/, "http"));
  const there = async (selector: string): Promise<void> => {
    const count = () => page.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
    await until(selector, count, (seen) => seen === 1, PATIENCE);
  };
  const id = (name: string) => `[data-testid="${name}"]`;
  await there(`${id("stream")}[data-state="live"]`);
  await there(`${id("node")}[data-status="pending"]`);
  await page.click(id("key-import"));
  await page.type(id("import-text"), SEED_TEXT);
  await page.click(id("import-save"));
  await there(id("approve"));
  await page.click(id("approve"));
  await there(`${id("deciding-sign")}:enabled`);
  await page.click(id("deciding-sign"));
  await there(`${id("node")}[data-status="active"]`);
  assert.equal(((await (await signaler.get("/nodes/waiting")).json()) as Json).status, "active");
});

test("n13_a_browser_that_cannot_sign_is_told_why", async (t) => {
  const signaler = await sovereigns(t);
  for (const [script, words] of [
    [
      `SubtleCrypto.prototype.importKey = () => Promise.reject(new DOMException("", "NotSupportedError"))`,
      /no Ed25519 signatures.*weft approve/,
    ],
    [
      `Object.defineProperty(globalThis, "isSecureContext", { get: () => false })`,
      /only on pages that came over https/,
    ],
  ] as const) {
    const board = await Board.open(t, signaler, {}, (page) => page.addInitScript(script));
    await board.page.getByTestId("key-problem").filter({ hasText: words }).waitFor();
    assert.equal(await board.page.getByTestId("key-make").isVisible(), false);
    await board.stands("health", "ok");
  }
});
