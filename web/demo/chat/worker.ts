/**
 * The service worker: keeps the app's own files, answers with them first, and fetches nothing else. Sockets of signalers do not
 * come by here, and files of other origins are not its business. A new version waits until the page says that it may begin.
 */

/** What a service worker has, as far as this one needs it: the types of pages know nothing of it. */
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: {
    claim(): Promise<void>;
    matchAll(options: object): Promise<readonly Page[]>;
    openWindow(url: string): Promise<unknown>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: string, handler: (event: Happening) => void): void;
}
interface Page {
  readonly url: string;
  postMessage(message: unknown): void;
  focus(): Promise<unknown>;
}
interface Happening {
  readonly request: Request;
  readonly data: unknown;
  readonly notification: Notification;
  waitUntil(work: Promise<unknown>): void;
  respondWith(answer: Promise<Response>): void;
}

const worker = globalThis as unknown as Scope;
/** Made by the build: what the version is made of, and its files. */
declare const VERSION: string;
declare const FILES: readonly string[];

const PREFIX = "weft-chat/";
const CACHE = `${PREFIX}${VERSION}`;

worker.addEventListener("install", (event) => {
  // Past the browser's own cache: files of two versions would not fit together.
  const files = FILES.map((file) => new Request(file, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(files)));
});

worker.addEventListener("activate", (event) => {
  const tidy = async () => {
    for (const name of await caches.keys())
      if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
    await worker.clients.claim();
  };
  event.waitUntil(tidy());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  const asked =
    request.mode === "navigate" && url.href.startsWith(worker.registration.scope) ? "./" : request;
  const answer = async () => {
    const cache = await caches.open(CACHE);
    return (await cache.match(asked, { ignoreSearch: true })) ?? (await fetch(request));
  };
  event.respondWith(answer());
});

worker.addEventListener("message", ({ data }) => {
  if (data === "begin") void worker.skipWaiting();
});

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const show = async () => {
    const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
    const page = pages.find(({ url }) => url.startsWith(worker.registration.scope));
    if (page === undefined) {
      await worker.clients.openWindow("./");
      return;
    }
    page.postMessage({ open: event.notification.tag });
    await page.focus();
  };
  event.waitUntil(show());
});
