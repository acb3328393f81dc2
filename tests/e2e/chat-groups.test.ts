/** Groups of people in browsers and at terminals: two programs that were written from one document. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { acquainted, Person } from "../federation/chat.ts";
import { directory, Signaler, until } from "../federation/signaler.ts";
import { ChatLab, type Chatter } from "./chat.ts";

/** Somebody in a browser and somebody at a terminal become contacts. */
async function know(page: Chatter, person: Person): Promise<string> {
  const link = await page.link();
  const identity = link.slice("weft:".length, link.indexOf("?"));
  await person.does({ do: "add", address: link, note: `it is ${person.name}` });
  await page.page.getByTestId("request").filter({ hasText: person.name }).waitFor();
  await page.accept(person.name);
  const agrees = (line: { event: string; with: string; contact: boolean }) =>
    line.event === "contact" && line.with === identity && line.contact;
  await person.chat.line("a yes", agrees, 40_000);
  return identity;
}

test("c13_browser_and_terminal_are_in_one_group_a_late_member_reads_on_and_a_removed_one_gets_nothing_more", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const ada = await lab.person("Ada");
  const ben = await Person.start(t, "Ben", signaler);
  const cyr = await Person.start(t, "Cyr", signaler);
  const identity = await know(ada, ben);
  await know(ada, cyr);

  // Made in the browser, joined at the terminal.
  await ada.founds("Friends");
  await ada.invites("Friends", "Ben");
  const invitation = (line: { event: string; group: string }) =>
    line.event === "text" && line.group === "Friends";
  const { json } = await ben.chat.line("an invitation", invitation, 40_000);
  const group = (await ben.does({ do: "join", with: identity, of: json.id })).with as string;
  await ben.isIn(group);

  await ada.open("Friends");
  await ada.say("What do we drink?");
  await ada.isSo("What do we drink?", "published");
  const heard = await ben.hears("What do we drink?", 40_000);
  assert.deepEqual([heard.with, heard.in, heard.name, heard.author], [group, "Friends", "Ada", identity]);
  const coffee = await ben.tells(group, "Coffee", { reply: heard.id });
  await ada.line("Coffee").waitFor();
  assert.equal(await ada.line("Coffee").getByTestId("author").textContent(), "Ben");
  await ada.line("Coffee").getByTestId("quote").filter({ hasText: "What do we drink?" }).waitFor();
  await ben.does({ do: "react", to: group, of: heard.id, emoji: "☕" });
  await ada.page.getByRole("button", { name: "☕ by Ben" }).waitFor();
  await ben.does({ do: "edit", to: group, of: coffee, text: "Coffee, please" });
  await ada.line("Coffee, please").filter({ hasText: "edited" }).waitFor();

  // Later, and with what was said before.
  await ada.invites("Friends", "Cyr");
  const late = await cyr.chat.line("an invitation", invitation, 40_000);
  await cyr.does({ do: "join", with: identity, of: late.json.id });
  await cyr.isIn(group);
  const texts = async () => (await cyr.texts(group)).join();
  await until("what was said before", texts, (all) => all === "What do we drink?,Coffee, please", 40_000);
  await cyr.tells(group, "Water");
  await ada.line("Water").waitFor();
  await ben.hears("Water", 40_000);
  await ada.page.getByTestId("with-state").filter({ hasText: "3 members · 3 here" }).waitFor();

  // Removed in the browser.
  await ada.page.getByTestId("with").click();
  const member = ada.page.getByTestId("member").filter({ hasText: "Cyr" });
  await member.getByTestId("member-remove").click();
  await ada.page.getByTestId("sure-yes").click();
  await member.waitFor({ state: "detached" });
  await ada.page.locator("#group-dialog [data-close]").click();
  const removed = (line: { event: string; code: string }) =>
    line.event === "group" && line.code === "removed";
  await cyr.chat.line("the removal", removed, 40_000);
  await ada.say("Without Cyr");
  await ben.hears("Without Cyr", 40_000);
  assert.equal((await cyr.tries({ do: "say", to: group, text: "x" })).code, "not-a-member");
  assert.equal((await cyr.texts(group)).at(-1), "Water");

  // A reload keeps all of it, each once.
  await ada.page.reload();
  await ada.ready();
  await ada.open("Friends");
  await ada.line("Without Cyr").waitFor();
  assert.deepEqual(await ada.texts(), ["What do we drink?", "Coffee, please", "Water", "Without Cyr"]);
  await ben.tells(group, "Still here?");
  await ada.line("Still here?").waitFor();

  await ada.page.getByTestId("with").click();
  await ada.page.getByTestId("group-leave").click();
  await ada.page.getByTestId("sure-yes").click();
  await ada.page.locator(".row-name").filter({ hasText: "Friends" }).waitFor({ state: "detached" });
  const members = async () => (await ben.does({ do: "members", with: group })).members;
  const left = (all: { who: string; left: boolean }[]) =>
    all.find(({ who }) => who === identity)?.left === true;
  await until("that Ada has left", members, left, 40_000);
});

test("c13_a_browser_takes_and_turns_down_invitations_of_a_terminal_and_is_removed", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const ada = await lab.person("Ada");
  const ben = await Person.start(t, "Ben", signaler);
  const dan = await Person.start(t, "Dan", signaler);
  const identity = await know(ada, ben);
  await acquainted(ben, dan);
  const [friends, foes] = [await ben.founds("Friends"), await ben.founds("Foes")];
  await ben.invites(friends, dan);
  await dan.tells(friends, "before Ada");
  await ben.hears("before Ada", 40_000);
  await ben.does({ do: "invite", to: foes, who: identity });
  await ben.does({ do: "invite", to: friends, who: identity, history: false });
  await ada.open("Ben");
  const card = (name: string) => ada.page.getByTestId("invite").filter({ hasText: name });
  await card("Friends").waitFor();
  await ada.page.getByRole("button", { name: "Turn down: Foes" }).click();
  await card("Foes").filter({ hasText: "turned it down" }).waitFor();
  await ada.page.getByRole("button", { name: "Join: Friends" }).click();
  await ada.page.getByTestId("with-state").filter({ hasText: "3 members" }).waitFor();
  const dans = await dan.tells(friends, "for Ada too");
  await ada.line("for Ada too").waitFor();
  assert.deepEqual(await ada.texts(), ["for Ada too"], "she may not read what was before");
  // Somebody who is no contact of hers has the end of their identity with their name.
  const author = await ada.line("for Ada too").getByTestId("author").textContent();
  assert.equal(author, `Dan (${dan.identity.slice(-4)})`);
  await ada.choose("for Ada too", "react-👍");
  const changed = (line: { event: string; id: string }) => line.event === "changed" && line.id === dans;
  assert.deepEqual((await dan.chat.line("a sign", changed, 40_000)).json.reactions, { [identity]: "👍" });

  const file = { name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("milk") };
  await ada.page.getByTestId("attach-input").setInputFiles(file);
  await ada.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  await ada.say("the list");
  const list = await dan.hears("the list", 40_000);
  assert.deepEqual([list.attachments[0].name, list.attachments[0].size], ["list.txt", 4]);
  // What does not fit into its text goes as well, from program to program.
  const photo = randomBytes(70_000);
  await ada.page.getByTestId("attach-input").setInputFiles({ ...file, buffer: photo });
  await ada.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  await ada.say("a longer list");
  const longer = await dan.hears("a longer list", 40_000);
  const path = join(directory(t), "longer.txt");
  await dan.does({ do: "save", with: friends, of: longer.id, path });
  assert.deepEqual(readFileSync(path), photo);

  // It goes on after a reload.
  await ada.page.reload();
  await ada.ready();
  await ada.open("Friends");
  await ada.page.getByTestId("with-state").filter({ hasText: "3 members · 3 here" }).waitFor();
  await ada.say("back again");
  await dan.hears("back again", 40_000);
  await ben.tells(friends, "welcome back");
  await ada.line("welcome back").waitFor();
  assert.deepEqual(await ada.texts(), [
    "for Ada too",
    "the list",
    "a longer list",
    "back again",
    "welcome back",
  ]);

  // Who has turned an invitation down may take it all the same, where people are added.
  const { items } = await ben.does({ do: "history", with: identity });
  const again = items.find((item: { group: string }) => item.group === "Foes").invitation as string;
  await ada.add(again);
  await ada.page.getByTestId("with-state").filter({ hasText: "2 members" }).waitFor();
  await ada.page.getByTestId("with-name").filter({ hasText: "Foes" }).waitFor();
  await ada.open("Friends");

  await ben.does({ do: "remove", from: friends, who: identity });
  await ada.page.getByTestId("banner").filter({ hasText: "you were removed" }).waitFor();
  assert.equal(await ada.page.getByTestId("compose").isVisible(), false);
  await dan.tells(friends, "without Ada");
  await ben.hears("without Ada", 40_000);
  assert.deepEqual((await ada.texts()).at(-1), "welcome back");
});

/** A picture of four pixels and so many bytes: what comes behind its end is not looked at. */
async function picture(page: Page, bytes: number): Promise<Buffer> {
  const url = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 2, height: 2 });
    return canvas.toDataURL("image/png");
  });
  const png = Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
  return Buffer.concat([png, randomBytes(bytes - png.length)]);
}

/** Drops a file onto the conversation. */
async function drop(page: Page, name: string, type: string, bytes: Buffer): Promise<void> {
  const file = { name, type, base64: bytes.toString("base64") };
  await page.evaluate(({ name, type, base64 }) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type }));
    const area = document.getElementById("talk");
    for (const type of ["dragenter", "dragover", "drop"])
      area?.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }, file);
  await page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
}

test("c13_a_picture_that_is_dropped_into_a_group_is_shown_to_members_and_larger_ones_when_they_ask", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const [ada, ben] = await lab.friends("Ada", "Ben");
  const cyr = await Person.start(t, "Cyr", signaler);
  const identity = await know(ada, cyr);
  await ada.founds("Friends");
  await ada.invites("Friends", "Ben");
  await ben.open("Ada");
  await ben.page.getByRole("button", { name: "Join: Friends" }).click();
  await ben.page.getByTestId("with-state").filter({ hasText: "2 members" }).waitFor();

  await drop(ada.page, "small.png", "image/png", await picture(ada.page, 200_000));
  await ada.say("A small one");
  await ada.line("A small one").getByTestId("picture").locator("img").waitFor();
  await ben.line("A small one").getByTestId("picture").locator("img").waitFor();
  const large = await picture(ada.page, 900_000);
  await drop(ada.page, "large.png", "image/png", large);
  await ada.say("A large one");
  const line = ben.line("A large one");
  await line.getByTestId("file-get").waitFor();
  assert.equal(await line.getByTestId("picture").count(), 0, "nobody has asked for it");
  await line.getByTestId("file-get").click();
  await line.getByTestId("picture").locator("img").waitFor();

  // The author goes; a late member at a terminal gets both from Ben's browser.
  await ada.invites("Friends", "Cyr");
  const invited = (line: { event: string; group: string }) =>
    line.event === "text" && line.group === "Friends";
  const { json } = await cyr.chat.line("an invitation", invited, 40_000);
  const group = (await cyr.does({ do: "join", with: identity, of: json.id })).with as string;
  await cyr.isIn(group);
  const said = await cyr.hears("A large one", 40_000);
  await ben.page.getByTestId("with-state").filter({ hasText: "3 members · 3 here" }).waitFor();
  await ada.page.close();
  await ben.page.getByTestId("with-state").filter({ hasText: "3 members · 2 here" }).waitFor();
  const path = join(directory(t), "large.png");
  await cyr.does({ do: "save", with: group, of: said.id, path });
  assert.deepEqual(readFileSync(path), large);
});
