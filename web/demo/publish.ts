/** The left part: the film list, and a document of one's own. */

import type { Party, Weft } from "weft-mesh";
import { $, perFrame, say, show } from "./dom.js";
import { complain, tell, understand } from "./notices.js";
import { parseObject, SyntaxProblem } from "./relaxed.js";
import { FIRST_DOCUMENT } from "./samples.js";
import { bytes, count, key, number } from "./words.js";

/** Puts life into the part. */
export function startPublishing(weft: Weft, party: Party): void {
  const tally = new Tally(weft);
  startFilms(party, tally);
  startDocument(party, tally);
}

/** Says how much one has published, and how much of it nobody has yet. */
class Tally {
  private published = 0;

  constructor(private readonly weft: Weft) {
    setInterval(() => this.draw(), 500);
  }

  add(): void {
    this.published += 1;
  }

  private draw(): void {
    if (this.published === 0) return;
    const { unsent } = this.weft.stats();
    const rest = unsent > 0 ? ` ${bytes(unsent)} of it are still here only: keep this tab open.` : "";
    say($("own-tally"), `You have published ${count(this.published, "document")}.${rest}`);
  }
}

function startFilms(party: Party, tally: Tally): void {
  const start = $<HTMLButtonElement>("films-start");
  const stop = $<HTMLButtonElement>("films-stop");
  const words = $("films-count");
  let running: AbortController | undefined;

  const publishAll = async (signal: AbortSignal): Promise<void> => {
    const films = await loadFilms(signal);
    const began = performance.now();
    let done = 0;
    let pause = began + SLICE;
    const draw = perFrame(() => {
      $<HTMLProgressElement>("films-bar").max = films.length;
      $<HTMLProgressElement>("films-bar").value = done;
      words.setAttribute("data-count", String(done));
      say(words, `${number(done)} of ${number(films.length)}`);
      const seconds = (performance.now() - began) / 1000;
      say($("films-rate"), seconds > 0.5 ? `${number(Math.round(done / seconds))} a second` : "");
    });
    draw();
    for (const film of films) {
      // Resolves once the film has its place in our feed; waits when the queue of what is to be sent is full.
      await party.publish(film, { signal });
      done += 1;
      tally.add();
      draw();
      if (performance.now() < pause) continue;
      await breathe();
      pause = performance.now() + SLICE;
    }
    tell(`Published ${count(done, "film")}.`);
  };

  start.addEventListener("click", async () => {
    running = new AbortController();
    show(start, false);
    show(stop, true);
    show($("films-progress"), true);
    say(words, "Fetching the list…");
    stop.focus();
    try {
      await publishAll(running.signal);
    } catch (error) {
      if (!running.signal.aborted) complain("The films could not be published", error);
    }
    say(start, "Publish them again");
    show(start, true);
    show(stop, false);
    if (document.activeElement === stop || document.activeElement === document.body) start.focus();
  });
  stop.addEventListener("click", () => running?.abort());
}

/** Milliseconds of work after which the page may draw, so that the bar moves and the Stop button answers. */
const SLICE = 10;

/** Lets everything else run. Not a timer: in a hidden tab those fire once a second. */
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });

async function loadFilms(signal: AbortSignal): Promise<object[]> {
  const answer = await fetch(new URL("movies.json", document.baseURI), { signal });
  if (!answer.ok) throw new Error(`movies.json: ${answer.status} ${answer.statusText}`);
  return (await answer.json()) as object[];
}

function startDocument(party: Party, tally: Tally): void {
  const input = $<HTMLTextAreaElement>("document");
  const status = $("document-status");
  const button = $<HTMLButtonElement>("document-publish");
  input.value = FIRST_DOCUMENT;

  const problem = (words: string): void => {
    status.className = "status bad";
    say(status, words);
    input.setAttribute("aria-invalid", "true");
  };
  const check = (): object | undefined => {
    try {
      const parsed = parseObject(input.value);
      input.removeAttribute("aria-invalid");
      status.className = "status";
      say(status, "");
      return parsed;
    } catch (error) {
      if (error instanceof SyntaxProblem)
        problem(`${error.message} (line ${error.line}, column ${error.column}).`);
      return undefined;
    }
  };
  const publish = async (): Promise<void> => {
    const parsed = check();
    if (parsed === undefined) return input.focus();
    button.disabled = true;
    try {
      const { id } = await party.publish(parsed);
      tally.add();
      status.className = "status good";
      status.setAttribute("data-id", id);
      say(status, `Published and signed: ${key(id)}.`);
    } catch (error) {
      const { code, message } = understand(error);
      problem(code === undefined ? message : `${message} [${code}]`);
    } finally {
      button.disabled = false;
    }
  };

  input.addEventListener("input", check);
  $("document-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void publish();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void publish();
  });
}
