/**
 * The demo: publish, ask, see who forwards, write to each other. This file only joins the parts.
 *
 * What an application needs of weft-mesh is in `enter` below, and in the parts: `party.publish` (publish.ts),
 * `party.subscribe` (matches.ts), `new Query` (query.ts), `party.peers` (roster.ts), `peer.state` (people.ts), `weft.send`
 * (talk.ts).
 */

import { connect, type Party, type Weft } from "weft-mesh";
import { $, say, show } from "./dom.js";
import { startHeader } from "./header.js";
import { askForParty } from "./join.js";
import { Matches } from "./matches.js";
import { understand } from "./notices.js";
import { People } from "./people.js";
import { type Place, readPlace, writePlace } from "./place.js";
import { startPublishing } from "./publish.js";
import { startQuery } from "./query.js";
import { Roster } from "./roster.js";
import { Swarm } from "./swarm.js";
import { Talk } from "./talk.js";

/** Characters of one's query that others are told: a state has at most 1,024 bytes. */
const ASKS = 200;

void main();

async function main(): Promise<void> {
  const missing = whatIsMissing();
  if (missing !== undefined) return refuse(missing);
  try {
    let place = readPlace();
    if (place.party === undefined) place = await askForParty(place);
    const { weft, party } = await enter(place);
    begin(weft, party, place);
  } catch (error) {
    const { code, message } = understand(error);
    say($("unsupported-heading"), "That did not work");
    show($("unsupported-advice"), code === "no-webrtc" || code === "wasm-load");
    refuse(code === undefined ? message : `${message} [${code}]`);
  }
}

/** Becomes a peer and goes into the party. Keys are made at the first visit and kept by the browser. */
async function enter(place: Place): Promise<{ weft: Weft; party: Party }> {
  const weft = await connect({ signalers: place.signalers, name: place.name });
  const party = await weft.join(place.party ?? "movies");
  return { weft, party };
}

function begin(weft: Weft, party: Party, first: Place): void {
  let place = first;
  const move = (change: Partial<Place>): void => {
    place = { ...place, ...change };
    writePlace(place);
  };
  move({});
  show($("app"), true);

  const roster = new Roster(weft, party, place.name);
  startHeader(weft, roster, () => place, move);
  startPublishing(weft, party);

  const people = new People(weft, roster, () => talk);
  const talk: Talk = new Talk(weft, roster, people.drawSoon);
  const swarm = new Swarm(weft, roster, (peer) => {
    const identity = roster.known.get(peer)?.identity;
    if (identity !== undefined) talk.open(identity);
  });
  const matches = new Matches(party, roster);
  matches.onArrival = (event) => swarm.arrived(event.feed);
  startQuery(place.query, (query, { backlog, text }) => {
    matches.subscribe(query, backlog);
    move({ query: text });
    // Everybody in the party may know what one is looking for: see people.ts.
    party.setState({ asks: text.slice(0, ASKS) });
  });
  startTabs();
}

/** On a small screen one part is visible at a time. */
function startTabs(): void {
  const tabs = [...document.querySelectorAll<HTMLButtonElement>("[data-tab]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      $("app").setAttribute("data-view", tab.getAttribute("data-tab") ?? "matches");
      for (const other of tabs) other.setAttribute("aria-current", String(other === tab));
      scrollTo({ top: 0 });
    });
  }
}

/** What this browser would need and has not. */
function whatIsMissing(): string | undefined {
  if (typeof RTCPeerConnection === "undefined") return "It has no WebRTC, or WebRTC is switched off.";
  if (typeof WebAssembly === "undefined") return "It has no WebAssembly, or WebAssembly is switched off.";
  if (typeof HTMLDialogElement === "undefined" || typeof CSS?.escape === "undefined") return "It is too old.";
  return undefined;
}

function refuse(why: string): void {
  show($("app"), false);
  say($("unsupported-why"), why);
  show($("unsupported"), true);
}
