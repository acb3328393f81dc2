/** The chat: an application of weft-mesh for people. This file only joins the parts. */

import { $, perFrame, say, show } from "../dom.js";
import { complain, tell, understand, warn } from "../notices.js";
import { fitName, inventName } from "../words.js";
import type { Taken } from "./book.js";
import { GroupSheet } from "./circle.js";
import { avatar } from "./faces.js";
import { List } from "./list.js";
import type { Person } from "./model.js";
import { notify, showUnread } from "./notify.js";
import { Session, storedSettings, type Watcher } from "./session.js";
import { merge, type Settings, signalersOf } from "./settings.js";
import { AddSheet, PersonSheet, SelfSheet, startSheets, sure, view } from "./sheets.js";
import { takeHistory, takeOver } from "./tab.js";
import { Talk } from "./talk.js";
import { Vault } from "./vault.js";

/** Milliseconds between two looks for a new version. */
const LOOK = 60 * 60_000;

void main();

async function main(): Promise<void> {
  const missing = whatIsMissing();
  if (missing !== undefined) return refuse("This browser cannot take part", missing);
  startWorker();
  if (!(await takeHistory(giveUp))) {
    refuse(
      "The chat is open in another tab",
      "One tab at a time has your history.",
      "Use it here",
      async () => {
        given = false;
        if (await takeOver(giveUp)) void begin();
      },
    );
    return;
  }
  await begin();
}

let session: Session | undefined;
/** Another tab has the history. */
let given = false;

/** Another tab wants the history: this one closes, and says so. */
async function giveUp(): Promise<void> {
  given = true;
  const why = "It went on in another tab.";
  refuse("The chat is open in another tab", why, "Use it here", async () => location.reload());
  await session?.close();
}

async function begin(): Promise<void> {
  try {
    show($("closed"), false);
    const vault = await Vault.open();
    const stored = await storedSettings(vault);
    const settings = stored ?? (await firstVisit());
    settings.signalers = merge(signalersOf(location.search, settings.signalers), settings.signalers);
    await start(vault, settings);
  } catch (error) {
    const { code, message } = understand(error);
    refuse(
      "That did not work",
      code === undefined ? message : `${message} [${code}]`,
      "Try again",
      async () => location.reload(),
    );
  }
}

/** Asks for a name. */
function firstVisit(): Promise<Settings> {
  const input = $<HTMLInputElement>("first-name");
  input.value = inventName();
  show($("first"), true);
  input.select();
  return new Promise((resolve) => {
    $("first-form").addEventListener("submit", (event) => {
      event.preventDefault();
      show($("first"), false);
      const name = fitName(input.value) || inventName();
      const face = { issued: Date.now(), name };
      resolve({ face, signalers: [], receipts: true, typing: true, notify: false });
    });
  });
}

async function start(vault: Vault, settings: Settings): Promise<void> {
  const parts: { talk?: Talk; list?: List; self?: SelfSheet; circle?: GroupSheet } = {};
  const unread = perFrame(() => {
    const { person } = parts.talk ?? {};
    showUnread(session?.book.unread() ?? 0, person && session?.nameOf(person));
  });
  const watcher: Watcher = {
    changed(person) {
      parts.list?.drawSoon();
      if (person?.group) parts.circle?.drawSoon();
      if (person === undefined || person === parts.talk?.person) parts.talk?.drawSoon();
      unread();
    },
    file: (hash) => parts.talk?.file(hash),
    visible: (person) => parts.talk?.isVisible(person) ?? false,
    announce: (person, taken) => announce(person, taken),
    wrong: complain,
  };
  const running = await Session.start(vault, settings, watcher);
  session = running;
  if (given) return await running.close();

  const open = (person: Person, line?: Parameters<Talk["open"]>[1]) =>
    void talk
      .open(person, line)
      .catch((error: unknown) => complain("This conversation cannot be read", error));
  const announce = (person: Person, { line, asks, met }: Taken): void => {
    const called = running.nameOf(person);
    const name = line && person.group ? `${running.authorOf(person, line)} in ${called}` : called;
    if (met && !talk.isVisible(person))
      tell(`${name} is a contact now.`, { label: "Open", run: () => open(person) });
    if (asks) tell(`${name} would like to write to you.`, { label: "Look", run: () => open(person) });
    if (line && talk.isVisible(person)) talk.tell(line);
    if ((line || asks) && running.settings.notify) void notify(person, name, line).catch(() => {});
  };

  show($("app"), true);
  startSheets();
  const about = new PersonSheet(running, () => talk.close());
  const circle = new GroupSheet(running, () => talk.close());
  const talk = new Talk(running, {
    sure,
    about: (person) => (person.group ? circle : about).open(person),
    opened: (person) => {
      if (person) forgetNotices(running.nameOf(person));
      list.drawSoon();
      unread();
    },
    view: (attachment, url) => view(attachment, url, () => void talk.save(attachment)),
  });
  const list = new List(running, () => talk.person, open);
  const add = new AddSheet(running, open);
  const drawSelf = () => drawOwn(running);
  const self = new SelfSheet(running, drawSelf);
  Object.assign(parts, { talk, list, self, circle });
  for (const id of ["add", "welcome-add", "welcome-link"]) $(id).addEventListener("click", () => add.open());
  $("own").addEventListener("click", () => self.open());
  drawSelf();
  unread();

  const { weft } = running;
  const drawConnection = perFrame(() => {
    connection(running);
    self.drawSignalers();
  });
  weft.on("signaler", drawConnection);
  addEventListener("online", drawConnection);
  addEventListener("offline", drawConnection);
  connection(running);
  // That somebody asked for what is not there any more is no news for people.
  weft.on("warning", ({ code, message }) => code !== "request-failed" && warn(code, message));
  if (!weft.stored)
    warn("not-stored", "This browser keeps nothing for this page: you will be somebody else after a reload.");
  startKeys(talk, running, open);
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    const person = running.book.person(String((data as { open?: unknown })?.open));
    if (person) open(person);
  });
  // Days go by: "Today" becomes "Yesterday".
  setInterval(() => watcher.changed(undefined), 60_000);
  openAddress(add);
  addEventListener("hashchange", () => openAddress(add));
}

/** What was announced of somebody is no news when one looks at them. */
function forgetNotices(name: string): void {
  for (const notice of [...$("notices").children])
    if (notice.getAttribute("data-text")?.startsWith(`${name} `)) notice.remove();
}

/** `#weft:…` in the page's address: somebody to add. It does not stay there. */
function openAddress(add: AddSheet): void {
  const { hash } = location;
  if (!hash.startsWith("#weft:")) return;
  history.replaceState(null, "", location.pathname + location.search);
  add.open(hash.slice(1));
}

function drawOwn({ settings, weft }: Session): void {
  $("own").replaceChildren(avatar(settings.face.name, weft.identity, settings.face));
  $("own").title = settings.face.name;
}

/** How it is with the signalers, in words. */
function connection({ weft, settings }: Session): void {
  const there = weft.signalers();
  const up = there.filter(({ state }) => state === "connected").length;
  const hosts = settings.signalers.map((url) => new URL(url).host).join(", ");
  const box = $("connection");
  box.setAttribute("data-state", up > 0 ? "connected" : navigator.onLine ? "connecting" : "offline");
  box.title = hosts;
  say(box, up > 0 ? "Connected" : navigator.onLine ? "Connecting…" : "Offline: what you write waits");
}

/** Alt and arrows go from conversation to conversation, Escape goes back. */
function startKeys(talk: Talk, { book }: Session, open: (person: Person) => void): void {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && talk.person) {
      const { identity } = talk.person;
      talk.close();
      document.querySelector<HTMLElement>(`[data-identity="${CSS.escape(identity)}"] button`)?.focus();
    }
    if (!event.altKey || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    const people = book.people().filter(({ standing }) => standing !== "stranger");
    const at = talk.person ? people.indexOf(talk.person) : -1;
    const next = people[at + (event.key === "ArrowDown" ? 1 : -1)];
    event.preventDefault();
    if (next) open(next);
  });
}

/** The service worker, without which the page works too, but not offline. */
function startWorker(): void {
  const workers = navigator.serviceWorker;
  if (workers === undefined) return;
  let isOurs = false;
  workers.addEventListener("controllerchange", () => isOurs && location.reload());
  const offer = (waiting: ServiceWorker | null): void => {
    if (waiting === null || workers.controller === null) return;
    const run = () => {
      isOurs = true;
      waiting.postMessage("begin");
    };
    tell("A new version is here.", { label: "Use it", run });
  };
  const register = async () => {
    const registration = await workers.register("worker.js");
    offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const { installing } = registration;
      installing?.addEventListener(
        "statechange",
        () => installing.state === "installed" && offer(registration.waiting),
      );
    });
    setInterval(() => void registration.update().catch(() => {}), LOOK);
  };
  register().catch((error: unknown) => console.warn("the chat is not kept for offline use", error));
}

/** What this browser would need and has not. */
function whatIsMissing(): string | undefined {
  if (!globalThis.isSecureContext)
    return "It keeps keys only for pages that come over https, or from this machine (localhost).";
  if (typeof RTCPeerConnection === "undefined") return "It has no WebRTC, or WebRTC is switched off.";
  if (typeof WebAssembly === "undefined") return "It has no WebAssembly, or WebAssembly is switched off.";
  if (typeof HTMLDialogElement === "undefined" || !navigator.locks || !globalThis.indexedDB)
    return "It is too old.";
  return undefined;
}

function refuse(heading: string, why: string, action?: string, run?: () => Promise<void>): void {
  show($("app"), false);
  show($("first"), false);
  say($("closed-heading"), heading);
  say($("closed-why"), why);
  const button = $<HTMLButtonElement>("closed-action");
  show(button, action !== undefined);
  say(button, action ?? "");
  button.onclick = () => void run?.();
  show($("closed"), true);
}
