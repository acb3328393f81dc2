/** Has the browser compile what a first link needs before it is needed: wasm-peer/src/rehearsal.rs, docs/adr/0015. */

import { Rehearsal } from "./glue.js";

/** The entry in the page's performance timeline when it is over. */
const REHEARSED = "weft:rehearsed";

let rehearsed = false;

/** Milliseconds of work after which the page gets its turn. */
const TURN = 4;

/** Once per page, a turn at a time, so that the page is never held up for long. The wasm must be loaded. */
export async function rehearse(): Promise<void> {
  if (rehearsed) return;
  rehearsed = true;
  try {
    const rehearsal = new Rehearsal();
    for (let more = true; more; ) {
      await new Promise((resolve) => setTimeout(resolve));
      const end = performance.now() + TURN;
      while (more && performance.now() < end) more = rehearsal.step();
    }
    rehearsal.free();
    performance.mark(REHEARSED);
  } catch {
    // It only makes the first link quicker.
  }
}
