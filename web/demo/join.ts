/** The form that people see who come without a party in the address. */

import { $, say, show } from "./dom.js";
import type { Place } from "./place.js";
import { fitName, inventName } from "./words.js";

/** Shows the form, filled in as far as known; resolves when somebody wants to go in. */
export function askForParty(place: Place): Promise<Place> {
  const form = $<HTMLFormElement>("join-form");
  const party = $<HTMLInputElement>("join-party");
  const name = $<HTMLInputElement>("join-name");
  const signalers = $<HTMLTextAreaElement>("join-signalers");
  name.value = place.name;
  signalers.value = place.signalers.join("\n");
  show($("join"), true);
  party.focus();
  party.select();

  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const urls = signalers.value.split(/\s+/).filter(Boolean);
      const problem = mistake(party.value.trim(), urls);
      say($("join-error"), problem ?? "");
      show($("join-error"), problem !== undefined);
      if (problem !== undefined) return;
      show($("join"), false);
      resolve({
        ...place,
        party: party.value.trim(),
        name: fitName(name.value) || inventName(),
        signalers: urls,
      });
    });
  });
}

function mistake(party: string, urls: readonly string[]): string | undefined {
  if (party === "") return "Give the party a name. Everybody who enters the same name meets.";
  if (urls.length === 0) return "Give the address of at least one signaler.";
  const bad = urls.find((url) => !/^wss?:\/\/[^/\s]+/.test(url));
  return bad === undefined
    ? undefined
    : `${bad} is no address of a signaler: it begins with ws:// or wss://.`;
}
