/** The bar of the built demo in Chromium: nothing in it is printed over anything else, whatever the width. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Lab } from "./browser.ts";

const DEMO = fileURLToPath(new URL("../../web/demo/dist", import.meta.url));
/** Nobody listens there: the pages are answered from the folder, and the bar is the same without a signaler. */
const ORIGIN = "http://localhost:9";

/** In the page: pairs of parts of the bar that overlap or leave it, and whether the own name is cut without a sign. */
const WRONG = `(() => {
  const bar = document.querySelector(".bar").getBoundingClientRect();
  const parts = [...document.querySelectorAll(".bar > .brand, .party, .signaler, .own-name, .own-id, .bar > .primary")]
    .map((part) => ({ name: part.className, box: part.getBoundingClientRect() }));
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
  const wrong = parts.flatMap((a, n) => [
    ...parts.slice(n + 1).filter((b) => !apart(a.box, b.box)).map((b) => a.name + " over " + b.name),
    ...(a.box.left < bar.left || a.box.right > bar.right ? [a.name + " leaves the bar"] : []),
  ]);
  const own = document.querySelector(".own-name");
  const style = getComputedStyle(own);
  if (style.display.includes("flex") || style.textOverflow !== "ellipsis") wrong.push("the name is cut without a sign");
  return wrong;
})()`;

test("the_bar_of_the_demo_overlaps_at_no_width_with_short_and_long_names", async (t) => {
  const lab = await Lab.open(t);
  for (const signalers of [
    "&signaler=ws://localhost:9",
    "&signaler=ws://localhost:9&signaler=ws://localhost:10",
  ]) {
    for (const name of ["Bo", "Golden Kestrel", "Maximiliana Wolkenstein-Hohenlohe"]) {
      const context = await lab.browser.newContext();
      await context.route(`${ORIGIN}/**`, (route) => {
        const { pathname } = new URL(route.request().url());
        return route.fulfill({ path: DEMO + (pathname === "/" ? "/index.html" : pathname) });
      });
      const page = await context.newPage();
      await page.goto(`${ORIGIN}/?party=movies&name=${encodeURIComponent(name)}${signalers}`);
      await page.getByTestId("app").waitFor();
      for (const width of [320, 360, 390, 480, 520, 600, 699, 700, 860, 1100, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        assert.deepEqual(await page.evaluate(WRONG), [], `${name} at ${width} px`);
      }
      await context.close();
    }
  }
});
