/**
 * `cargo xtask bench failover [--quick]`: one of three signalers is killed under 3,000 clients with two homes each.
 *
 * Clients are connections in this process that speak the protocol; signalers are the shipped binaries with their default
 * configuration. Time counts from the kill until everybody is in the lists of both signalers that are left, and until
 * everybody has two homes again.
 */
import { failover } from "../tests/federation/failover.ts";
import { Signaler } from "../tests/federation/signaler.ts";
import { Afterwards, quantile } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const [CLIENTS, ROUNDS] = quick ? [300, 1] : [3_000, 3];
/** Longest that it may take, milliseconds. */
const BAR = 10_000;

const moved: number[] = [];
let missed = 0;
for (let round = 1; round <= ROUNDS; round += 1) {
  const context = new Afterwards();
  try {
    const a = await Signaler.start(context.test, { args: ["--open"] });
    const args = ["--open", "--sibling", a.url];
    const [b, c] = [
      await Signaler.start(context.test, { args }),
      await Signaler.start(context.test, { args }),
    ];
    for (const one of [a, b, c]) await one.siblings(2);
    const result = await failover([a, b, c], CLIENTS);
    moved.push(result.moved);
    missed += result.missed;
    console.log(
      `round ${round}: found after ${Math.round(result.found)} ms, moved after ${Math.round(result.moved)} ms`,
    );
  } finally {
    await context.run();
  }
}
const [least, median, most] = [0, 0.5, 1].map((share) => Math.round(quantile(moved, share)));
const reached = (most ?? 0) <= BAR && missed === 0;
console.log(
  `\n${CLIENTS} clients, ${ROUNDS} rounds: two homes again after ${least} to ${most} ms, median ${median}`,
);
console.log(`lists that lacked somebody: ${missed}`);
console.log(`bar: at most ${BAR} ms in every round, nobody lacking: ${reached ? "reached" : "MISSED"}`);
if (!reached && !quick) process.exitCode = 1;
