/** `cargo xtask bench mail-soak [--minutes N] [--users N]`: tests/federation/soak.ts says what is done, and what must hold. */
import { soak } from "../tests/federation/soak.ts";
import { Afterwards } from "./browser-lab.ts";

const MINUTES = argument("--minutes", 30);
const USERS = argument("--users", 50);

const context = new Afterwards();
try {
  const tell = (line: string) => console.log(line);
  const { written, deaths, faults, memory } = await soak(context.test, {
    minutes: MINUTES,
    count: USERS,
    tell,
  });
  for (const fault of faults.slice(0, 20)) console.log(fault);
  console.log(
    `\n${MINUTES} minutes, ${USERS} users: ${written}; ${deaths} signalers killed; ${faults.length} lost, repeated or out of order`,
  );
  const quarters = memory.map((bytes) => (bytes / 1024 / 1024).toFixed(1)).join(", ");
  console.log(`memory of a signaler, at the most, by quarters of the time: ${quarters} MiB`);
  console.log(`bar: none: ${faults.length === 0 ? "reached" : "MISSED"}`);
  if (faults.length > 0) process.exitCode = 1;
} finally {
  await context.run();
}

function argument(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(process.argv[at + 1]);
  if (!(value > 0)) throw new Error(`${name} takes a number above 0`);
  return value;
}
