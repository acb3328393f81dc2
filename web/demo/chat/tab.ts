/**
 * One tab at a time has the history: it holds a Web Lock, which the browser lets go when the page ends however it ends. Another
 * one may ask for it; then the first closes its peer, lets go, and says so.
 */

const LOCK = "weft-chat";
const CHANNEL = "weft-chat";
/** Milliseconds that the tab before may take to close. */
const PATIENCE = 5000;

/** Milliseconds. A reloaded page may start before the browser has let go of the lock of the one before it. */
const RELOAD_PATIENCE = 1500;

/** Takes the history if no other tab has it. `asked` is called when another tab wants it; what it does is awaited. */
export async function takeHistory(asked: () => Promise<void>): Promise<boolean> {
  return await hold({ signal: AbortSignal.timeout(RELOAD_PATIENCE) }, asked).catch(() => false);
}

/** Takes it from the other tab, which is asked first. */
export async function takeOver(asked: () => Promise<void>): Promise<boolean> {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("yield");
  channel.close();
  try {
    return await hold({ signal: AbortSignal.timeout(PATIENCE) }, asked);
  } catch {
    // It does not answer, frozen perhaps.
    return await hold({ steal: true }, asked);
  }
}

function hold(options: LockOptions, asked: () => Promise<void>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const held = (lock: Lock | null): Promise<void> | undefined => {
      resolve(lock !== null);
      if (lock === null) return undefined;
      const channel = new BroadcastChannel(CHANNEL);
      return new Promise((letGo) => {
        channel.onmessage = () => {
          channel.close();
          void asked().finally(letGo);
        };
      });
    };
    let has = false;
    navigator.locks
      .request(LOCK, options, (lock) => {
        has = lock !== null;
        return held(lock);
      })
      .catch((error: unknown) => {
        // Stolen, or never got.
        if (has) void asked();
        else reject(error);
      });
  });
}
