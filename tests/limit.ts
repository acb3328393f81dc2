/**
 * Loaded before every file of tests: one that hangs ends, and says which test it was, instead of holding up everything. What
 * it has started ends with it.
 */
import { afterEach, beforeEach } from "node:test";

/** The longest test takes four minutes. Seconds. */
const TEST = Number(process.env["WEFT_TEST_SECONDS"] ?? 8 * 60);
/** For all tests of a file, and for what may still hold the process afterwards. Seconds. */
const FILE = 25 * 60;

const after = (seconds: number, what: () => string): NodeJS.Timeout => {
  const end = () => {
    console.error(`${what()} has not ended after ${seconds} s`);
    process.exit(1);
  };
  // It keeps nothing alive that would end by itself.
  return setTimeout(end, 1000 * seconds).unref();
};

after(FILE, () => `the file ${process.argv[1]}`);
let timer: NodeJS.Timeout | undefined;
beforeEach((test) => {
  clearTimeout(timer);
  timer = after(TEST, () => `the test ${test.name}`);
});
afterEach(() => clearTimeout(timer));
