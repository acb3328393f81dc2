/** Something that is read soon after somebody asked for it, once for all that did meanwhile, and now and then unasked. */

/** Milliseconds between two readings for which nobody asked. */
const UNASKED = 30_000;
/** What is asked for at once is answered by one reading. Milliseconds. */
const GATHER = 150;

export class Reading {
  private busy = false;
  private again = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly read: () => Promise<void>) {}

  soon(): void {
    if (this.busy) this.again = true;
    else this.arm(GATHER);
  }

  private arm(wait: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), wait);
  }

  private async run(): Promise<void> {
    this.busy = true;
    this.again = false;
    try {
      await this.read();
    } catch {
      // The counters say that it does not answer; what is shown is what was.
    }
    this.busy = false;
    this.arm(this.again ? GATHER : UNASKED);
  }
}
