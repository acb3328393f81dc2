/** A small web server with the packed npm package, unpacked, as plain ES modules. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

const PAGE = `<!doctype html><meta charset="utf-8"><title>weft</title>
<script type="importmap">{ "imports": { "weft-mesh": "./weft-mesh/dist/index.js" } }</script>
<script type="module" src="./page.js"></script>`;

export interface Site {
  readonly url: string;
  close(): void;
}

/** The tarball that `npm run build` left. */
export function tarball(): string {
  const given = process.env["WEFT_TARBALL"];
  if (given !== undefined) return given;
  const found = readdirSync(join(ROOT, "web")).find((name) => /^weft-mesh-.*\.tgz$/.test(name));
  if (found === undefined) throw new Error("web/weft-mesh-VERSION.tgz is not there; next: npm run build");
  return join(ROOT, "web", found);
}

/**
 * Serves the package and a page that puts it into `window.mesh`. `host` is an address of this machine, `policy` the page's
 * Content Security Policy.
 */
export async function serve(host = "127.0.0.1", policy?: string): Promise<Site> {
  const dir = mkdtempSync(join(tmpdir(), "weft-site-"));
  execFileSync("tar", ["xzf", tarball(), "-C", dir]);
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://x").pathname);
    try {
      const body =
        path === "/"
          ? PAGE
          : path === "/page.js"
            ? readFileSync(join(ROOT, "tests/e2e/page.js"))
            : readFileSync(join(dir, path.replace(/^\/weft-mesh/, "/package")));
      const type = path === "/" ? TYPES[".html"] : TYPES[extname(path)];
      if (policy !== undefined) response.setHeader("content-security-policy", policy);
      response.writeHead(200, { "content-type": type ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Serves a folder of the machine as it is, at a port of its own or at one that is given. */
export async function serveFolder(folder: string, port = 0): Promise<Site> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://x");
    const path = normalize(pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    try {
      const body = readFileSync(join(folder, path));
      response
        .writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
