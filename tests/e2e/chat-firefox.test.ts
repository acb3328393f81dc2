/** The chat in Debian's Firefox, with somebody in Chromium. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "puppeteer-core";
import { Signaler } from "../federation/signaler.ts";
import { program } from "./browser.ts";
import { ChatLab } from "./chat.ts";

const PICTURE = fileURLToPath(new URL("../../web/demo/chat/icon-192.png", import.meta.url));

test("c11_firefox_and_chromium_become_contacts_talk_and_see_pictures_and_history_survives_a_reload", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await ChatLab.open(t, signaler.url);
  const ada = await lab.person("Ada");
  const firefox = await launch({
    browser: "firefox",
    protocol: "webDriverBiDi",
    headless: true,
    executablePath: program("firefox-esr"),
  });
  t.after(() => firefox.close());
  const fox = await firefox.newPage();
  const wrong: string[] = [];
  fox.on("pageerror", (error) => wrong.push(String(error)));
  const see = (selector: string) => fox.waitForSelector(selector, { visible: true });
  const press = async (selector: string) => {
    await see(selector);
    await fox.locator(selector).click();
  };
  const reads = (text: string) =>
    fox.waitForFunction((text) => document.getElementById("log")?.textContent?.includes(text), {}, text);

  await fox.goto(lab.url);
  await see("#first-name");
  await fox.focus("#first-name");
  await fox.keyboard.press("End");
  await fox.keyboard.type(" Fox");
  await fox.keyboard.press("Enter");
  await see("#connection[data-state=connected]");
  await press("#own");
  const key = await fox.$eval("#self-key", (element) => element.textContent);
  await press("#self-dialog [data-close]");
  await ada.add(key ?? "");
  await press("[data-testid=request] button");
  await press("[data-testid=accept]");
  await ada.page.getByTestId("banner").waitFor({ state: "hidden" });
  await ada.say("Hello fox");
  await reads("Hello fox");
  await fox.focus("#compose-input");
  await fox.keyboard.type("Hello, said the fox");
  await ada.page.getByTestId("typing").filter({ hasText: "typing" }).waitFor();
  await fox.keyboard.press("Enter");
  await ada.line("said the fox").waitFor();
  const file = { name: "icon.png", mimeType: "image/png", buffer: readFileSync(PICTURE) };
  await ada.page.getByTestId("attach-input").setInputFiles(file);
  await ada.page.locator(`[data-testid="staged"][data-ready="true"]`).waitFor();
  await ada.say("An icon");
  await see("[data-testid=picture] img");
  await see("[data-own=true][data-state=read]");

  await fox.reload();
  await press("[data-testid=conversation] button");
  await reads("Hello, said the fox");
  await see("[data-testid=picture] img");
  assert.deepEqual(wrong, []);
});
