/** The chat of a browser and `weft chat`: two programs that were written from one document. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { directory, Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { ChatLab, type Chatter } from "./chat.ts";

/** `weft chat --json`, with answers to what it is told. */
class Terminal {
  #tag = 0;

  constructor(readonly chat: Weft) {}

  async does(command: object): Promise<{ readonly id: string }> {
    this.#tag += 1;
    const tag = `${this.#tag}`;
    this.chat.write({ ...command, tag });
    const { json } = await this.chat.line(JSON.stringify(command), (line) => line.tag === tag);
    assert.equal(json.event, "done", JSON.stringify(json));
    return json;
  }

  /** The first event of that kind with these members. */
  async event(event: string, members: object): Promise<{ readonly id: string }> {
    const wanted = Object.entries({ event, ...members });
    const { json } = await this.chat.line(event, (line) =>
      wanted.every(([name, value]) => line[name] === value),
    );
    return json;
  }
}

/** Somebody in a browser and somebody at a terminal, who are contacts; and who the first one is. */
async function meet(
  t: TestContext,
): Promise<{ page: Chatter; terminal: Terminal; identity: string; data: string }> {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const page = await lab.person("Ada");
  const data = directory(t);
  const terminal = new Terminal(
    Weft.start(t, "chat", ["--json", "--stay"], { signalers: [signaler.url], data }),
  );
  await terminal.does({ do: "profile", name: "Ben" });
  const address = await page.link();
  const identity = address.slice("weft:".length, address.indexOf("?"));
  await terminal.does({ do: "add", address, note: "from a terminal" });
  await page.page.getByTestId("request").filter({ hasText: "from a terminal" }).waitFor();
  await page.accept("Ben");
  await terminal.event("contact", { with: identity, contact: true });
  return { page, terminal, identity, data };
}

test("c13_browser_and_terminal_talk_read_edit_react_and_see_each_other_type", async (t) => {
  const { page, terminal, identity } = await meet(t);
  await page.say("Hello terminal");
  const heard = await terminal.event("text", { text: "Hello terminal" });
  const said = await terminal.does({ do: "say", to: identity, text: "Hello page" });
  await page.line("Hello page").waitFor();
  await terminal.event("state", { id: said.id, state: "read" });
  await terminal.does({ do: "read", with: identity });
  await page.isSo("Hello terminal", "read");
  await terminal.does({ do: "edit", to: identity, of: said.id, text: "Hello, page!" });
  await page.line("Hello, page!").filter({ hasText: "edited" }).waitFor();
  await terminal.does({ do: "react", to: identity, of: heard.id, emoji: "👍" });
  await page.page.getByRole("button", { name: "👍 by Ben" }).waitFor();
  await page.choose("Hello, page!", "menu-reply");
  await page.say("An answer");
  await terminal.event("text", { text: "An answer", reply: said.id });

  await page.page.getByTestId("with-state").filter({ hasText: "here now" }).waitFor();
  await terminal.event("presence", { with: identity, on: true });
  await terminal.does({ do: "typing", to: identity, on: true });
  await page.page.getByTestId("typing").filter({ hasText: "Ben is typing" }).waitFor();
  await page.page.getByTestId("compose-input").pressSequentially("Hm");
  await terminal.event("typing", { with: identity, on: true });
});

test("c13_browser_and_terminal_send_each_other_files", async (t) => {
  const { page, terminal, identity, data } = await meet(t);
  const bytes = randomBytes(900_000);
  const file = { name: "film.bin", mimeType: "application/octet-stream", buffer: bytes };
  await page.page.getByTestId("attach-input").setInputFiles(file);
  await page.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  await page.say("a film");
  const { id } = await terminal.event("text", { text: "a film" });
  const path = join(data, "film.bin");
  await terminal.does({ do: "save", with: identity, of: id, path });
  assert.deepEqual(readFileSync(path), bytes);

  const notes = join(data, "notes.txt");
  writeFileSync(notes, randomBytes(200_000));
  await terminal.does({ do: "say", to: identity, text: "my notes", attach: [notes] });
  const line = page.line("my notes");
  await line.locator(`[data-file="whole"]`).waitFor();
  const [download] = await Promise.all([
    page.page.waitForEvent("download"),
    line.getByTestId("file-save").click(),
  ]);
  assert.deepEqual(readFileSync(await download.path()), readFileSync(notes));
});
