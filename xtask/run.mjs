// The entry of every npm script of the workspace: finds cargo, says what to do if it is missing, and hands over to
// `xtask`, which does the work. Needs nothing but Node, because it runs before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const oldestNode = 20;

function fail(message) {
  console.error(`\nweft: ${message}`);
  process.exit(1);
}

/** The cargo to use: the one on PATH, or rustup's in the home directory (a fresh rustup is not on PATH yet). */
function findCargo() {
  const candidates = [process.env.CARGO, "cargo", join(homedir(), ".cargo", "bin", "cargo")].filter(Boolean);
  return candidates.find((cargo) => spawnSync(cargo, ["--version"], { stdio: "ignore" }).status === 0);
}

function howToGetCargo() {
  const debian = existsSync("/etc/debian_version");
  const family = debian ? "on Debian: `apt-get install cargo-web rustc-web`, or " : "";
  return `Rust is needed and \`cargo\` was not found.\n  Next: ${family}install it as https://rustup.rs says; then run this again.`;
}

if (Number(process.versions.node.split(".")[0]) < oldestNode) {
  fail(`Node ${oldestNode} or newer is needed, this is ${process.version}.\n  Next: https://nodejs.org`);
}
const cargo = findCargo();
if (!cargo) fail(howToGetCargo());

// The first build of xtask takes some seconds and should be seen; afterwards cargo has nothing to tell.
const targetDir = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const first = !existsSync(join(targetDir, "debug", process.platform === "win32" ? "xtask.exe" : "xtask"));
if (first)
  console.error(
    `weft ${JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version}: building the build tool`,
  );

const args = [
  "run",
  "--locked",
  ...(first ? [] : ["--quiet"]),
  "-p",
  "xtask",
  "--",
  ...process.argv.slice(2),
];
const child = spawn(cargo, args, { cwd: root, stdio: "inherit" });

// Ctrl-C reaches the whole foreground group; the child decides when to go, and this process outlives it to report.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("error", (error) => fail(`cargo could not be started: ${error.message}`));
child.on("exit", (code, signal) =>
  process.exit(signal === "SIGINT" || signal === "SIGTERM" ? 0 : (code ?? 1)),
);
