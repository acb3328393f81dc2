/** The Content Security Policy of docs/guides/web.md in Chromium. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab } from "./browser.ts";

const GUIDE = readFileSync(new URL("../../docs/guides/web.md", import.meta.url), "utf8");

test("the_guides_content_security_policy_is_enough_and_without_self_the_error_names_it", async (t) => {
  const signaler = await Signaler.start(t);
  const documented = /^Content-Security-Policy: (.*)$/m.exec(GUIDE)?.[1];
  assert.ok(documented, "the guide has an example");
  // The page's import map is inline.
  const policy = documented
    .replace("script-src", "script-src 'unsafe-inline'")
    .replace("wss://signaler.example", signaler.url);
  const under = async (policy: string) => await (await Lab.open(t, { policy })).page();

  const allowed = await under(policy);
  await allowed.start({ signalers: [signaler.url] });
  // Not by polling an expression, which the policy forbids as eval.
  await allowed.look(`new Promise((resolve) => {
    const look = () => mesh.weft.signalers()[0].state === "connected" && resolve(true);
    mesh.weft.on("signaler", look);
    look();
  })`);

  const forbidden = await under(policy.replace("connect-src 'self'", "connect-src"));
  const refused = forbidden.start({ signalers: [signaler.url] });
  await assert.rejects(
    refused,
    /wasm could not be loaded.*Content Security Policy needs connect-src 'self'/s,
  );
});
