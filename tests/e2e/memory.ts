/** What a process has in memory (proc(5), `maps`, `pagemap` and `mem`); allowed to root and to the process's parent. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** Of an entry of `pagemap`, in its last byte: the page is in memory, or was swapped out. */
const THERE = 0b1100_0000;
const ENTRY = 8;

/** Everything that a process can write to and has used: heap, stacks, data. What is in its program file is left out. */
export function memory(pid: number): Buffer {
  const maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  const size = Number(execFileSync("getconf", ["PAGESIZE"], { encoding: "utf8" }));
  const [pages, file] = ["pagemap", "mem"].map((name) => openSync(`/proc/${pid}/${name}`, "r")) as [
    number,
    number,
  ];
  const parts: Buffer[] = [];
  try {
    for (const [, from, to] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
      const [start, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
      // An allocator reserves far more than is ever used.
      const used = Buffer.alloc((Number(end - start) / size) * ENTRY);
      const got = readSync(pages, used, 0, used.length, (start / BigInt(size)) * BigInt(ENTRY));
      if (got !== used.length) throw new Error(`${got} of ${used.length} bytes of pagemap`);
      const count = used.length / ENTRY;
      const isThere = (page: number) => ((used[page * ENTRY + ENTRY - 1] ?? 0) & THERE) !== 0;
      for (let page = 0; page < count; page += 1) {
        const first = page;
        while (page < count && isThere(page)) page += 1;
        if (page > first) parts.push(read(file, start + BigInt(first * size), (page - first) * size));
      }
    }
  } finally {
    closeSync(pages);
    closeSync(file);
  }
  return Buffer.concat(parts);
}

function read(file: number, at: bigint, length: number): Buffer {
  const part = Buffer.alloc(length);
  try {
    return part.subarray(0, readSync(file, part, 0, length, at));
  } catch (error) {
    // Some kernel mappings cannot be read, and some go while one reads.
    if (["EIO", "EFAULT"].includes((error as NodeJS.ErrnoException).code ?? "")) return Buffer.alloc(0);
    throw error;
  }
}
