/** The chat of the demo, in Chromium: what people do with it. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { decodeQR } from "qr/decode.js";
import { directory, Signaler, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { ChatLab, type Chatter } from "./chat.ts";

/** A picture of one pixel. */
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

/** Waits until so many mailboxes are open. */
async function mailboxes(signaler: Signaler, count: number): Promise<void> {
  const open = async () => (await signaler.metrics()).get("weft_mailboxes");
  await until("mailboxes", open, (open) => open >= count);
}

test("c11_two_people_become_contacts_by_a_link_and_talk", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = [await lab.person("Ada"), await lab.person("Ben")];
  // The link behind the # of a page's address, as it is copied.
  await ada.page.goto(`${lab.url}#${await ben.link()}`);
  await ada.page.getByTestId("add-note").fill("from the workshop");
  await ada.page.getByTestId("add-submit").click();
  await ben.page.getByTestId("request").filter({ hasText: "from the workshop" }).waitFor();
  await ben.accept("Ada");
  await ada.page.getByTestId("banner").waitFor({ state: "hidden" });
  await ada.say("Are you there?");
  await ben.line("Are you there?").waitFor();
  await ben.say("I am.");
  await ada.line("I am.").waitFor();
  for (const one of [ada, ben]) assert.deepEqual(await one.texts(), ["Are you there?", "I am."]);
  await ada.isSo("Are you there?", "read");
  assert.deepEqual(await words(ada), await words(ben), "both read the same words");
});

async function words({ page }: Chatter): Promise<string[]> {
  await page.getByTestId("with").click();
  await page.locator("#words li").first().waitFor();
  const words = await page.locator("#words li").allTextContents();
  assert.equal(words.length, 12);
  await page.locator("#person-dialog [data-close]").click();
  return words;
}

test("c11_somebody_is_added_by_key_by_https_address_and_by_the_code_on_their_screen", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = [await lab.person("Ada"), await lab.person("Ben")];
  const link = await ben.link();
  const key = link.slice("weft:".length, link.indexOf("?"));

  await ben.page.getByTestId("add").click();
  const path = await ben.page.locator("#code path").getAttribute("d");
  const side = Number((await ben.page.locator("#code svg").getAttribute("viewBox"))?.split(" ")[2]);
  assert.equal(read(path ?? "", side), `${link}&signaler=${signaler.url}/`);

  await ada.page.route("https://ben.example/**", (route) => {
    assert.equal(new URL(route.request().url()).pathname, "/.well-known/weft.json");
    const headers = { "access-control-allow-origin": "*" };
    return route.fulfill({ headers, json: { weft: 1, identity: key, name: "Ben of the web" } });
  });
  await ada.add("https://ben.example");
  await ada.page.getByTestId("with-name").filter({ hasText: "Ben of the web" }).waitFor();
  await ben.page.locator("#add-dialog [data-close]").click();
  await ben.page.getByTestId("request").filter({ hasText: "Ada" }).waitFor();

  // Who adds somebody that has asked accepts.
  const hers = await ada.link();
  await ben.add(hers.slice("weft:".length, hers.indexOf("?")));
  await ada.page.getByTestId("banner").waitFor({ state: "hidden" });
  await ada.page.getByTestId("with-state").filter({ hasText: "here now" }).waitFor();

  await ada.page.getByTestId("add").click();
  // A camera that sees the code on Ben's screen.
  await ada.page.evaluate(showToCamera, { path: path ?? "", side });
  await ada.page.getByTestId("add-scan").click();
  await ada.page.waitForFunction(
    (link) => document.querySelector<HTMLInputElement>("#add-address")?.value.startsWith(link),
    link,
  );
  await ada.page.getByTestId("add-address").fill("Ben");
  await ada.page.getByTestId("add-submit").click();
  await ada.page.getByTestId("add-problem").filter({ hasText: "neither an identity" }).waitFor();
  await ada.page.getByTestId("add-address").fill(hers);
  await ada.page.getByTestId("add-submit").click();
  await ada.page.getByTestId("add-problem").filter({ hasText: "your own link" }).waitFor();
});

/** In the page: puts a code before the camera. */
function showToCamera({ path, side }: { readonly path: string; readonly side: number }): void {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 480;
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(10);
  setInterval(() => {
    context?.resetTransform();
    if (context) context.fillStyle = "#dddddd";
    context?.fillRect(0, 0, 640, 480);
    context?.setTransform(6, 0, 0, 6, 120, 30);
    if (context) context.fillStyle = "#222222";
    context?.fill(new Path2D(path));
  }, 50);
  navigator.mediaDevices.getUserMedia = () => Promise.resolve(stream);
  if (side * 6 > 450) throw new Error("the code does not fit before the camera");
}

/** What a code says that is drawn by such a path. */
function read(path: string, side: number): string {
  const scale = 4;
  const [width, height] = [side * scale, side * scale];
  const data = new Uint8Array(4 * width * height).fill(255);
  for (const { 1: x, 2: y } of path.matchAll(/M(\d+) (\d+)/g)) {
    for (let at = 0; at < scale * scale; at += 1) {
      const row = Number(y) * scale + Math.floor(at / scale);
      const column = Number(x) * scale + (at % scale);
      data.fill(0, 4 * (row * width + column), 4 * (row * width + column) + 3);
    }
  }
  return decodeQR({ width, height, data });
}

test("c11_names_colours_and_pictures_change_for_contacts_and_stay_hidden_from_strangers", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ben.page.getByTestId("own").click();
  await ben.page.getByTestId("self-name").fill("Benjamin");
  await ben.page
    .getByTestId("self-file")
    .setInputFiles({ name: "me.png", mimeType: "image/png", buffer: PIXEL });
  await ben.page.locator("#self-face img").waitFor();
  await ben.page.getByTestId("self-save").click();
  await ada.page.getByTestId("with-name").filter({ hasText: "Benjamin" }).waitFor();
  await ada.page.locator("#with-face img").waitFor();
  await ada.page.getByTestId("with").click();
  await ada.page.getByTestId("person-name").fill("My brother");
  await ada.page.getByTestId("person-save").click();
  await ada.page.getByTestId("with-name").filter({ hasText: "My brother" }).waitFor();
  const cyr = await lab.person("Cyr");
  await ben.add(await cyr.link());
  await cyr.page.getByTestId("request").filter({ hasText: "Benjamin" }).waitFor();
  assert.equal(await cyr.page.locator(`[data-testid="request"] img`).count(), 0);
});

test("c8_what_is_written_to_a_closed_page_is_stored_and_comes_in_order_and_is_read_when_it_is_seen", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await mailboxes(signaler, 2);
  await ben.page.close();
  const texts = ["one", "two", "three"];
  for (const text of texts) await ada.say(text);
  for (const text of texts) await ada.isSo(text, "stored");
  await ben.comesBack();
  await ben.page.locator(`[data-testid="conversation"][data-unread="3"]`).waitFor();
  assert.equal(await ben.page.title(), "(3) Weft Chat");
  for (const text of texts) await ada.isSo(text, "delivered");
  await ben.open("Ada");
  assert.deepEqual(await ben.texts(), texts);
  for (const text of texts) await ada.isSo(text, "read");
  assert.equal(await ben.page.title(), "Ada · Weft Chat");
});

test("c8_typing_shows_for_at_most_six_seconds_and_is_never_queued", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  const typing = ada.page.getByTestId("typing").filter({ hasText: "Ben is typing…" });
  await ben.page.getByTestId("with-state").filter({ hasText: "here now" }).waitFor();
  await ben.page.getByTestId("compose-input").pressSequentially("He");
  await typing.waitFor();
  // Nothing of this page says that it has stopped.
  await ben.page.close();
  // By a timer of the page that shows it: on a busy machine both are late.
  const left = `document.querySelector("[data-testid=typing]").textContent`;
  const after = await ada.page.evaluate<string>(
    `new Promise((resolve) => setTimeout(() => resolve(${left}), 6500))`,
  );
  assert.equal(after, "");

  await mailboxes(signaler, 2);
  await ada.page.close();
  await ben.comesBack();
  await ben.ready();
  await ben.open("Ada");
  await ben.page.getByTestId("compose-input").pressSequentially("Hello");
  await ben.page.getByTestId("compose-input").press("Enter");
  await ben.isSo("Hello", "stored");
  const mail = (await signaler.metrics()).get("weft_mail");
  await ben.page.getByTestId("compose-input").pressSequentially("and more");
  await ben.say("the end");
  await ben.isSo("the end", "stored");
  assert.equal((await signaler.metrics()).get("weft_mail"), mail + 1, "two texts and nothing else wait");
  await ada.comesBack();
  await ada.open("Ben");
  await ada.line("the end").waitFor();
  assert.equal(await ada.page.getByTestId("typing").textContent(), "");
});

test("replies_edits_reactions_and_what_is_taken_back_are_seen_by_both", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ada.say("Shall we mete at four?");
  await ben.line("mete").waitFor();
  await ben.choose("mete", "menu-reply");
  await ben.say("Yes");
  await ada.line("Yes").getByTestId("quote").filter({ hasText: "Shall we mete" }).waitFor();
  await ben.choose("mete", "react-👍");
  await ada.page.getByRole("button", { name: "👍 by Ben" }).waitFor();
  // The key that people expect: the last of one's own is changed.
  await ada.page.getByTestId("compose-input").press("ArrowUp");
  await ada.page.getByTestId("compose-input").fill("Shall we meet at four?");
  await ada.page.getByTestId("compose-input").press("Enter");
  await ben.line("meet at four").filter({ hasText: "edited" }).waitFor();
  await ada.choose("meet at four", "menu-delete");
  await ada.page.getByTestId("sure-yes").click();
  await ben.line("This was taken back").waitFor();
  assert.deepEqual(await ben.texts(), ["Yes"]);
  await ben.line("Yes").getByTestId("quote").filter({ hasText: "Taken back" }).waitFor();
  // What others write is never read as HTML, and signs that turn the text around it are left out.
  await ada.page.getByTestId("compose-input").fill("<img src=x onerror=alert(1)>\u202egnp");
  await ada.page.getByTestId("compose-input").press("Enter");
  await ben.line("<img").waitFor();
  assert.equal((await ben.texts()).at(-1), "<img src=x onerror=alert(1)>gnp");
});

test("a_picture_that_is_dropped_is_shown_in_line_and_an_attachment_comes_though_both_are_never_there_together", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await mailboxes(signaler, 2);
  await ben.page.close();
  await ada.page.evaluate((base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "dot.png", { type: "image/png" }));
    const area = document.getElementById("talk");
    for (const type of ["dragenter", "dragover", "drop"])
      area?.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }, PIXEL.toString("base64"));
  await ada.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  await ada.say("A dot");
  await ada.page.getByTestId("picture").waitFor();
  const large = randomBytes(300_000);
  const file = { name: "list.pdf", mimeType: "application/pdf", buffer: large };
  await ada.page.getByTestId("attach-input").setInputFiles(file);
  await ada.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  await ada.page.getByTestId("send").click();
  await ada.page.locator(`[data-testid="line"][data-state="stored"] [data-testid="file"]`).waitFor();
  // The text and its five pieces, and the picture before it.
  const mail = async () => (await signaler.metrics()).get("weft_mail");
  await until("mail", mail, (mail) => mail >= 7);
  await ada.page.close();
  await ben.comesBack();
  await ben.open("Ada");
  await ben.page.getByTestId("picture").locator("img").waitFor();
  await ben.page.locator(`[data-file="whole"]`).waitFor();
  assert.deepEqual(await saved(ben.page), large);
});

/** What the browser saves when one asks for it. */
async function saved(page: Page): Promise<Buffer> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByTestId("file-save").last().click(),
  ]);
  return readFileSync(await download.path());
}

/** In the page, before anything else runs: how many pieces are stored. */
const COUNT_PIECES = `globalThis.pieces = new Promise((resolve) => {
  const opening = indexedDB.open("weft-chat");
  opening.onsuccess = () => {
    const names = opening.result.objectStoreNames.contains("records") &&
      opening.result.transaction("records").objectStore("records").getAllKeys(IDBKeyRange.bound("piece/", "piece/~"));
    if (names) names.onsuccess = () => { opening.result.close(); resolve(names.result.length); };
  };
})`;

test("an_attachment_of_3_mb_goes_on_after_a_reload_in_the_middle", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  const bytes = randomBytes(3_000_000);
  const file = { name: "film.bin", mimeType: "application/octet-stream", buffer: bytes };
  await ada.page.getByTestId("attach-input").setInputFiles(file);
  await ada.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  // On a slow machine the middle is long enough to be met.
  const devtools = await ben.context.newCDPSession(ben.page);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await ada.page.getByTestId("send").click();
  await ben.page.waitForFunction(() => {
    const bar = document.querySelector<HTMLProgressElement>("[data-testid=file] progress");
    return bar !== null && bar.value > 0 && bar.value < bar.max;
  });
  await ben.page.addInitScript(COUNT_PIECES);
  await ben.page.reload();
  const before = (await ben.page.evaluate("pieces")) as number;
  assert.ok(before > 0 && before < 46, `${before} pieces of 46 were there`);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });
  await ben.open("Ada");
  await ben.page.locator(`[data-file="whole"]`).waitFor();
  assert.equal(sha256(await saved(ben.page)), sha256(bytes));
});

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

test("without_a_net_the_page_opens_with_its_history_and_what_is_written_waits_and_goes_later", async (t) => {
  let signaler = await Signaler.start(t);
  const { dir, port } = signaler;
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ada.say("Before");
  await ben.line("Before").waitFor();
  await ada.page.evaluate("navigator.serviceWorker.ready.then(() => true)");
  await ada.isSo("Before", "read");
  await ben.page.close();
  await signaler.kill();
  lab.site.close();

  await ada.page.reload();
  await ada.open("Ben");
  assert.deepEqual(await ada.texts(), ["Before"]);
  await ada.say("Without a net");
  await ada.line("Without a net").getByText("Waiting to be sent").first().waitFor();
  await ada.page.reload();
  await ada.open("Ben");
  await ada.line("Without a net").getByText("Waiting to be sent").first().waitFor();

  signaler = await Signaler.start(t, { dir, port });
  await ada.isSo("Without a net", "stored");
  await ben.comesBack();
  await ben.open("Ada");
  await ben.line("Without a net").waitFor();
  assert.deepEqual(await ben.texts(), ["Before", "Without a net"]);
});

test("history_survives_a_reload_and_nothing_readable_is_stored", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ada.say("a secret of looms");
  await ben.line("a secret of looms").waitFor();
  await ben.say("kept");
  await ada.line("kept").waitFor();
  await ada.isSo("a secret of looms", "read");
  await ada.page.reload();
  await ada.open("Ben");
  assert.deepEqual(await ada.texts(), ["a secret of looms", "kept"]);
  await ada.isSo("a secret of looms", "read");
  const stored = (await ada.page.evaluate(STORED)) as { names: string[]; text: string; extractable: boolean };
  assert.equal(stored.extractable, false);
  assert.ok(stored.names.length >= 3 && stored.text.length > 1000, stored.names.join());
  for (const word of ["secret", "looms", "kept", "Ben", "z6Mk"])
    assert.ok(!stored.text.includes(word) && !stored.names.join().includes(word), word);
});

/** In the page: everything that the chat's database has, as one text. */
const STORED = `(async () => {
  const wait = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result) });
  const database = await wait(indexedDB.open("weft-chat"));
  const records = () => database.transaction("records").objectStore("records");
  const [names, values] = [await wait(records().getAllKeys()), await wait(records().getAll())];
  const text = values.map(({ iv, sealed, ...rest }) =>
    new TextDecoder("latin1").decode(iv) + new TextDecoder("latin1").decode(sealed) + JSON.stringify(rest)).join("");
  const key = await wait(database.transaction("keys").objectStore("keys").get("history"));
  database.close();
  return { names, text, extractable: key.extractable };
})()`;

test("c11_a_second_tab_says_that_the_first_has_the_history_and_takes_it_over", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ada.say("one");
  await ben.line("one").waitFor();
  const first = ada.page;
  ada.page = await ada.context.newPage();
  await ada.page.goto(lab.url);
  await ada.page.getByTestId("closed-why").filter({ hasText: "One tab at a time" }).waitFor();
  await ada.page.getByTestId("closed-action").click();
  await first.getByTestId("closed-why").filter({ hasText: "went on in another tab" }).waitFor();
  await ada.ready();
  await ada.open("Ben");
  await ada.say("two");
  await ben.line("two").waitFor();
  await ben.say("three");
  await ada.line("three").waitFor();
  assert.deepEqual(await ada.texts(), ["one", "two", "three"]);
  // And back.
  await first.getByTestId("closed-action").click();
  await first.getByTestId("closed-action").filter({ hasText: "Use it here" }).click();
  await first.getByTestId("app").waitFor();
  await ada.page.getByTestId("closed").waitFor();
});

test("who_is_blocked_or_turned_away_is_told_nothing_and_who_is_removed_is_a_stranger", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ben.page.getByTestId("with").click();
  await ben.page.getByTestId("person-block").click();
  await ben.page.locator("#person-dialog [data-close]").click();
  await ada.say("into the void");
  await ada.isSo("into the void", "delivered");
  await ben.page.getByTestId("unblock").click();
  await ada.say("and again");
  await ben.line("and again").waitFor();
  assert.deepEqual(await ben.texts(), ["and again"]);
  await ben.page.getByTestId("with").click();
  await ben.page.getByTestId("person-remove").click();
  await ben.page.getByTestId("sure-yes").click();
  await ben.page.getByTestId("welcome-link").waitFor();
  await ada.say("still there?");
  await ben.page.getByTestId("request").filter({ hasText: "still there?" }).getByRole("button").click();
  assert.deepEqual(await ben.texts(), ["still there?"]);
  await ben.page.getByTestId("refuse").click();
  await ben.page.getByTestId("request").waitFor({ state: "detached" });
});

test("c13_a_command_and_the_chat_of_a_browser_write_to_each_other", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const ada = await lab.person("Ada");
  const link = await ada.link();
  const identity = link.slice("weft:".length, link.indexOf("?"));
  const options = { signalers: [signaler.url], party: "mail", data: directory(t) };
  const sent = await Weft.run(t, "send", [identity, "from a shell"], options);
  assert.equal(sent.code, 0, sent.err);
  await ada.page.getByTestId("request").filter({ hasText: "from a shell" }).getByRole("button").click();
  await ada.page.getByTestId("accept").click();
  const listener = Weft.start(t, "listen", [], options);
  await ada.say("from a page");
  const { json } = await listener.line("the text", (json) => json.data?.kind === "text");
  assert.deepEqual([json.data.text, json.from], ["from a page", identity]);
  await ada.isSo("from a page", "delivered");
});

test("a_search_finds_what_was_said_and_goes_there", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada] = await lab.friends("Ada", "Ben");
  await ada.say("the blue yarn");
  for (let n = 0; n < 30; n += 1) await ada.say(`something else ${n}.`);
  await ada.page.getByTestId("search").fill("YARN blue");
  await ada.page.getByTestId("hit").filter({ hasText: "the blue yarn" }).click();
  await ada.page.waitForFunction(() => {
    const box = document.querySelector(".line.found")?.getBoundingClientRect();
    return box !== undefined && box.top > 0 && box.bottom < innerHeight;
  });
  await ada.page.getByTestId("find").click();
  await ada.page.getByTestId("find-input").fill("else 12.");
  await ada.page.getByTestId("find-next").click();
  await ada.page.locator(".line.found").filter({ hasText: "something else 12." }).waitFor();
});

/** In the page: what is not as people with other eyes or hands need it. */
const WRONG = `(() => {
  const wrong = [];
  const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length > 0;
  const nameOf = (element) => {
    const labelled = (element.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
    return (element.getAttribute("aria-label") || labelled || [...(element.labels ?? [])].map((label) => label.textContent).join("") || element.textContent).trim();
  };
  for (const element of document.querySelectorAll("button, input, textarea, a, dialog, [role=menu], [role=log], video"))
    if (isShown(element) && !["menu"].includes(element.getAttribute("role")) && nameOf(element) === "") wrong.push("no name: " + element.outerHTML.slice(0, 90));
  for (const image of document.images) if (isShown(image) && !image.hasAttribute("alt")) wrong.push("no alt: " + image.outerHTML.slice(0, 90));
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) wrong.push("twice: " + id);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the window: " + document.documentElement.scrollWidth);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const over = (top, under) => top.slice(0, 3).map((part, at) => (part * top[3] + under[at] * (255 - top[3])) / 255).concat(255);
  const ground = (element) => {
    const own = rgba(getComputedStyle(element).backgroundColor);
    if (own[3] === 255) return own;
    return over(own, element.parentElement ? ground(element.parentElement) : [255, 255, 255, 255]);
  };
  const light = (color) => { const [r, g, b] = color.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    const isHidden = element.closest(".visually-hidden, option") !== null;
    if (!text || isHidden || !isShown(element) || element.closest("svg")) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const [a, b] = [light(over(rgba(style.color), under)), light(under)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) wrong.push(contrast.toFixed(2) + ": " + element.className + " " + element.textContent.slice(0, 40));
  }
  return wrong;
})()`;

test("everything_has_a_name_is_readable_in_both_colour_schemes_and_fits_at_every_width", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  await ada.say(
    "A long word: Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
  );
  await ben.line("A long word").waitFor();
  await ben.say("Short");
  await ada.line("Short").waitFor();
  await ada.choose("Short", "react-👍");
  await ada.choose("Short", "menu-reply");
  const { page } = ada;
  const check = async (what: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const width of [320, 390, 720, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        assert.deepEqual(await page.evaluate(WRONG), [], `${what}, ${colorScheme}, ${width} px`);
      }
    }
  };
  await check("conversation");
  for (const [button, dialog] of [
    ["add", "add-dialog"],
    ["own", "self-dialog"],
    ["with", "person-dialog"],
  ] as const) {
    await page.getByTestId(button).click();
    await page.getByTestId(dialog).waitFor();
    if (button === "with") await page.locator("#words li").first().waitFor();
    await check(dialog);
    await page.keyboard.press("Escape");
    await page.getByTestId(dialog).waitFor({ state: "hidden" });
  }
  // By keys alone: back to the list, along it, and in again.
  await page.keyboard.press("Escape");
  await page.getByTestId("conversation").getByRole("button").focus();
  await check("list");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.evaluate("document.activeElement.id"), "search");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByTestId("with-name").filter({ hasText: "Ben" }).waitFor();
  assert.equal(await page.evaluate("document.activeElement.id"), "compose-input");
});

test("the_chat_can_be_installed_and_asks_for_notifications_only_when_told_to", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const { page, context } = await lab.person("Ada");
  const devtools = await context.newCDPSession(page);
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  // Contexts of tests are private windows, and nothing else is in the way.
  assert.deepEqual(
    installabilityErrors.map(({ errorId }) => errorId),
    ["in-incognito"],
  );
  assert.deepEqual((await devtools.send("Page.getAppManifest")).errors, []);
  await page.addInitScript(() => {
    const ask = Notification.requestPermission;
    Notification.requestPermission = () => {
      document.body.setAttribute("data-asked", "true");
      return ask.call(Notification);
    };
  });
  await page.reload();
  await page.getByTestId("own").click();
  assert.equal(await page.locator("body[data-asked]").count(), 0);
  await context.grantPermissions(["notifications"]);
  await page.getByTestId("set-notify").check();
  assert.equal(await page.locator("body[data-asked]").count(), 1);
  // It cannot be pressed again before it is stored.
  await page.locator("#set-notify:enabled").waitFor();
  await page.reload();
  await page.getByTestId("own").click();
  assert.equal(await page.getByTestId("set-notify").isChecked(), true);
});
