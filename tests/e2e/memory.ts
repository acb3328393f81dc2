/** What a process has in memory (proc(5), `maps` and `mem`); allowed to root and to the process's parent. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** Everything that a process can write to: heap, stacks, data. What is in its program file is left out. */
export function memory(pid: number): Buffer {
  const maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  const file = openSync(`/proc/${pid}/mem`, "r");
  const parts: Buffer[] = [];
  try {
    for (const [, from, to] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
      const [start, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
      const part = Buffer.alloc(Number(end - start));
      try {
        parts.push(part.subarray(0, readSync(file, part, 0, part.length, start)));
      } catch (error) {
        // Some kernel mappings cannot be read, and some go while one reads.
        if (!["EIO", "EFAULT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
    }
  } finally {
    closeSync(file);
  }
  return Buffer.concat(parts);
}
