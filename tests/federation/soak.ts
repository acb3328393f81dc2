/** People who write to each other for long, of whom few are there at once, through three signalers that are killed at random. */
import type { TestContext } from "node:test";
import { directory, Signaler } from "./signaler.ts";
import { Weft } from "./weft.ts";

/** To how many others somebody writes; how many commands run at once. */
const [FRIENDS, AT_ONCE] = [10, 8];
/** Milliseconds: between deaths, at least and at most; until the dead one is back, at most; somebody listens; a line of progress. */
const [DEATH, DEATH_MOST, BACK, LISTENS, PROGRESS] = [4_000, 20_000, 10_000, 4_000, 60_000];
/** Seconds that a command tries to get rid of a message. */
const SEND = 20;
/** At the end: how often everybody listens at most, and how many at the same time. */
const [ROUNDS, LISTENERS] = [5, 4];
const QUIET = { RUST_LOG: "warn" };
const PARTY = "mail-soak";

interface User {
  readonly data: string;
  readonly identity: string;
  readonly friends: readonly number[];
  /** What was shown, in order: who wrote it and its number. */
  readonly shown: { readonly from: string; readonly n: number }[];
}

interface Written {
  readonly from: number;
  readonly to: number;
  readonly n: number;
  readonly outcome: string;
  /** Seconds since the beginning: it began, and the sender was told. */
  readonly span: readonly [number, number];
}

/** A signaler was away: seconds since the beginning. */
interface Absence {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

/** What a soak has found. */
export interface Soaked {
  /** How many messages ended how, in words. */
  readonly written: string;
  /** How many of them were told as stored or delivered. */
  readonly safe: number;
  /** How often a signaler was killed. */
  readonly deaths: number;
  /** What was lost, shown twice, or shown out of order, in words. */
  readonly faults: readonly string[];
  /** Bytes of memory that a signaler had at the most, in each quarter of the time: of those that were killed, just before. */
  readonly memory: readonly number[];
}

/**
 * A user is `weft send` to one of ten others, or `weft listen` for some seconds, one at a time; eight of them run at once. Every
 * few seconds a signaler dies (SIGKILL) and comes back up to ten seconds later; at times two are dead. In the end all signalers are
 * there, and everybody listens until nothing comes any more. Then what was told as stored or delivered must have been shown: all
 * of it, once, and of each sender in the order in which it wrote, but for what was written around a time when two were dead, in
 * which each side of a broken majority acknowledges what it has (docs/spec/federation.md). What was not told so may have been
 * shown, once.
 */
export async function soak(
  t: TestContext,
  { minutes, count, tell }: { minutes: number; count: number; tell: (line: string) => void },
): Promise<Soaked> {
  const signalers = [await Signaler.start(t, { args: ["--open"], env: QUIET })];
  const first = signalers[0] as Signaler;
  for (let more = 0; more < 2; more += 1) {
    const args = ["--open", "--sibling", first.url];
    signalers.push(await Signaler.start(t, { args, env: QUIET }));
  }
  for (const one of signalers) await one.siblings(2);
  const urls = signalers.map(({ url }) => url);
  const users: User[] = [];
  for (let n = 0; n < count; n += 1) {
    const data = directory(t);
    const friends = Array.from({ length: Math.min(FRIENDS, count - 1) }, (_, at) => (n + 1 + at * 4) % count);
    users.push({
      data,
      identity: await Weft.identity(data),
      friends: friends.filter((friend) => friend !== n),
      shown: [],
    });
  }
  const options = (user: User) => ({ signalers: shuffled(urls), party: PARTY, data: user.data });
  const listen = async (user: User, over: () => boolean | Promise<boolean>): Promise<void> => {
    const listener = Weft.start(t, "listen", [], options(user));
    while (!(await over())) await pause(100);
    listener.process.kill("SIGTERM");
    await listener.ended();
    user.shown.push(
      ...listener.lines.map(({ json }) => ({ from: json.from as string, n: json.data.n as number })),
    );
  };
  // Everybody has been there once: there are mailboxes.
  for (const user of users) {
    const before = (await first.metrics()).get("weft_mailboxes");
    await listen(user, async () => (await first.metrics()).get("weft_mailboxes") > before);
  }

  const written: Written[] = [];
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 100) / 10;
  const over = () => performance.now() - began > minutes * 60_000;
  let [deaths, numbers] = [0, 0];
  const absences: Absence[] = [];
  const memory = [0, 0, 0, 0];
  const one = async (from: number): Promise<void> => {
    const user = users[from] as User;
    if (Math.random() < 0.25) {
      const until = performance.now() + Math.random() * LISTENS;
      return await listen(user, () => performance.now() > until);
    }
    const to = user.friends[Math.floor(Math.random() * user.friends.length)] as number;
    numbers += 1;
    const [n, at] = [numbers, seconds()];
    const args = [(users[to] as User).identity, JSON.stringify({ n }), "--timeout", `${SEND}`];
    const { out } = await Weft.run(t, "send", args, options(user));
    const said = out.trim() === "" ? "nothing" : (JSON.parse(out) as { outcome: string }).outcome;
    written.push({ from, to, n, outcome: said, span: [at, seconds()] });
  };
  const busy = new Set<number>();
  const worker = async (): Promise<void> => {
    while (!over()) {
      const free = users.map((_, n) => n).filter((n) => !busy.has(n));
      const user = free[Math.floor(Math.random() * free.length)] as number;
      busy.add(user);
      await one(user);
      busy.delete(user);
    }
  };
  const reaper = async (at: number): Promise<void> => {
    while (!over()) {
      await pause(signalers.length * (DEATH + Math.random() * (DEATH_MOST - DEATH)));
      if (over()) return;
      const old = signalers[at] as Signaler;
      const died = seconds();
      const quarter = Math.min(3, Math.floor(died / (minutes * 15)));
      memory[quarter] = Math.max(memory[quarter] ?? 0, old.memory());
      await old.kill();
      deaths += 1;
      await pause(Math.random() * BACK);
      const args = ["--open", ...urls.filter((_, n) => n !== at).flatMap((url) => ["--sibling", url])];
      signalers[at] = await Signaler.start(t, { args, dir: old.dir, port: old.port, env: QUIET });
      absences.push({ at, from: died, to: seconds() });
    }
  };
  const told = setInterval(() => {
    const past = Math.round((performance.now() - began) / 60_000);
    tell(`${past} of ${minutes} min: ${summary(written)}; ${deaths} signalers killed`);
  }, PROGRESS);
  t.after(() => clearInterval(told));
  await Promise.all([
    ...Array.from({ length: Math.min(AT_ONCE, Math.ceil(count / 2)) }, worker),
    ...signalers.map((_, at) => reaper(at)),
  ]);
  clearInterval(told);
  tell(
    `over: ${summary(written)}; ${deaths} signalers killed; everybody listens until nothing comes any more`,
  );

  for (const one of signalers) await one.siblings(2);
  const safe = written.filter(({ outcome }) => outcome === "stored" || outcome === "delivered");
  const lacks = (user: User) => {
    const has = new Set(user.shown.map(({ n }) => n));
    return safe.filter(({ to, n }) => users[to] === user && !has.has(n)).length;
  };
  // Who cannot open a message says so to its sender, who has to be there to hear it and to seal it again.
  const everybody = async (): Promise<void> => {
    const waiting = [...users];
    const worker = async (): Promise<void> => {
      for (let user = waiting.pop(); user !== undefined; user = waiting.pop()) await listen(user, short());
    };
    await Promise.all(Array.from({ length: LISTENERS }, worker));
  };
  let rounds = 0;
  const missing = () => users.reduce((sum, user) => sum + lacks(user), 0);
  do {
    await everybody();
    rounds += 1;
    tell(`round ${rounds}: ${missing()} of ${safe.length} are missing`);
  } while (missing() > 0 && rounds < ROUNDS);
  const faults = users.flatMap((user) => faultsOf(user, users, written, absences));
  const away = absences.map(({ at, from, to }) => `${at} from ${from} to ${to} s`);
  if (faults.length > 0) tell(`signalers were away: ${away.join(", ")}`);
  return { written: summary(written), safe: safe.length, deaths, faults, memory };
}

/** What is wrong with what somebody was shown. */
function faultsOf(
  user: User,
  users: readonly User[],
  written: readonly Written[],
  absences: readonly Absence[],
): string[] {
  const faults: string[] = [];
  const me = users.indexOf(user);
  const times = new Map<number, number>();
  for (const { n } of user.shown) times.set(n, (times.get(n) ?? 0) + 1);
  for (const { to, n, from, outcome } of written.filter(({ to }) => to === me)) {
    const count = times.get(n) ?? 0;
    const safe = outcome === "stored" || outcome === "delivered";
    if (count > 1) faults.push(`number ${n} from ${from} to ${to} (${outcome}) was shown ${count} times`);
    if (safe && count === 0) faults.push(`number ${n} from ${from} to ${to} (${outcome}) was never shown`);
  }
  for (const { identity } of users) {
    const numbers = user.shown.filter(({ from }) => from === identity).map(({ n }) => n);
    const find = (n: number | undefined) => written.find((other) => other.n === n);
    for (const [at, n] of numbers.entries()) {
      const [late, before] = [find(n), find(numbers[at - 1])];
      if (late === undefined || before === undefined || late.n > before.n) continue;
      if (isApart(absences, late.span[0], before.span[1])) continue;
      const [one, other] = [late, before].map(
        ({ n, outcome, span }) => `${n} (${outcome}, ${span.join(" to ")} s)`,
      );
      faults.push(`${me} was shown ${one} after ${other} of one sender`);
    }
  }
  return faults;
}

/** Seconds that a residence may take to be whole again once all are there. */
const MENDS = 5;

/** Whether there was no majority of the three at any moment of that time. */
function isApart(absences: readonly Absence[], from: number, to: number): boolean {
  const meanwhile = absences.filter((one) => one.from <= to && one.to + MENDS >= from);
  return meanwhile.some((one) =>
    meanwhile.some(
      (other) => other.at !== one.at && other.from <= one.to + MENDS && one.from <= other.to + MENDS,
    ),
  );
}

/** True after two seconds. */
function short(): () => boolean {
  const until = performance.now() + 2_000;
  return () => performance.now() > until;
}

function summary(written: readonly Written[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of written) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const each = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(", ");
  return `${written.length} messages (${each})`;
}

function shuffled<T>(all: readonly T[]): T[] {
  return all
    .map((one) => [Math.random(), one] as const)
    .sort(([a], [b]) => a - b)
    .map(([, one]) => one);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));
}
