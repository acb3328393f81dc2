/** The bar on top: where one is, who one is, and how the signalers are. */

import type { SignalerInfo, Weft } from "weft-mesh";
import { $, copy, h, say } from "./dom.js";
import { complain, tell, warn } from "./notices.js";
import { hostOf, type Place, partyLink } from "./place.js";
import type { Roster } from "./roster.js";
import { fitName, key } from "./words.js";

/** Puts life into the bar. `place` gives where one is at the moment; `move` takes a change of it. */
export function startHeader(
  weft: Weft,
  roster: Roster,
  place: () => Place,
  move: (change: Partial<Place>) => void,
): void {
  const { party, signalers } = place();
  say($("party-name"), party ?? "");
  document.title = `${party} · Weft`;
  say($("own-id"), key(weft.identity));
  $("copy-id").title = weft.identity;
  say($("own-name"), roster.name);

  const link = partyLink(place()).href;
  for (const anchor of document.querySelectorAll<HTMLAnchorElement>("[data-second-tab]")) anchor.href = link;
  $("copy-link").addEventListener(
    "click",
    () => void copied(link, "Link copied. Whoever opens it meets you here."),
  );
  $("copy-id").addEventListener("click", () => void copied(weft.identity, "Your identity is copied."));
  startRename(roster, move);

  const draw = (): void => drawSignalers(signalers, weft.signalers());
  weft.on("signaler", draw);
  draw();
  weft.on("warning", ({ code, message }) => warn(code, message));
  weft.on("closed", () => warn("closed", "This peer has closed. Reload the page to come back."));
  if (!weft.stored)
    tell("This browser keeps nothing for this page: you will be somebody else after a reload.");
}

async function copied(text: string, done: string): Promise<void> {
  if (await copy(text)) tell(done);
  // Without a secure context there is no clipboard: at least show what to copy.
  else prompt("Copy this", text);
}

function drawSignalers(configured: readonly string[], known: readonly SignalerInfo[]): void {
  const list = $("signalers");
  const rows = configured.map(
    (url): SignalerInfo => known.find((info) => info.url === url) ?? { url, state: "connecting" },
  );
  list.replaceChildren(
    ...rows.map(({ url, state, reason, code }) =>
      h(
        "li",
        {
          class: `signaler ${state}`,
          "data-testid": "signaler",
          "data-state": state,
          title: [reason, code].filter(Boolean).join(" · ") || url,
        },
        h("span", { class: "host" }, hostOf(url)),
        h("span", { class: "state" }, WORDS[state]),
      ),
    ),
  );
}

const WORDS: Record<SignalerInfo["state"], string> = {
  idle: "in reserve",
  connecting: "connecting…",
  connected: "connected",
  lost: "lost, trying again",
};

function startRename(roster: Roster, move: (change: Partial<Place>) => void): void {
  const dialog = $<HTMLDialogElement>("rename");
  const input = $<HTMLInputElement>("rename-input");
  $("own-name").addEventListener("click", () => {
    input.value = roster.name;
    dialog.showModal();
    input.select();
  });
  $("rename-cancel").addEventListener("click", () => dialog.close());
  $("rename-form").addEventListener("submit", () => {
    const name = fitName(input.value);
    if (name === "" || name === roster.name) return;
    try {
      roster.rename(name);
      say($("own-name"), name);
      move({ name });
    } catch (error) {
      complain("The name was refused", error);
    }
  });
}
