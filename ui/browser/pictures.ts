/** `npm run pictures`: every page in both themes into dist/pictures, and the four of docs/page.md into docs/pictures. */

import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { launch, watched } from "./browser";
import { ROOT, Server } from "./server";
import { cancelled, failed, option, takenOver, weeks, working } from "./stage";

const ALL = join(ROOT, "dist/pictures");
const KEPT = join(ROOT, "docs/pictures");
/** What docs/page.md shows. */
const BEST: readonly string[] = ["running-light-1360", "failed-dark-1360", "signal-light-1360", "failed-light-390"];
const LOOKS = [
  ["light", 1360],
  ["dark", 1360],
  ["light", 390],
  ["dark", 390],
] as const;

[ALL, KEPT].forEach((folder) => mkdirSync(folder, { recursive: true }));
const server = await new Server().start();
const browser = await launch();
try {
  server.open();
  await weeks(server);
  const pages = {
    signals: "signals",
    signal: "signals/1",
    positions: "positions",
    portfolio: "positions?portfolio=1",
    position: "positions/3",
    option: `positions/${await option(server)}`,
    predictions: "predictions",
    cancelled: `runs/${await cancelled(server)}`,
    takenover: `runs/${await takenOver(server)}`,
    failed: `runs/${await failed(server)}`,
    running: `runs/${await working(server)}`,
    runs: "",
    missing: "runs/999",
  };
  for (const [colorScheme, width] of LOOKS) {
    const { page } = await watched(browser, server.url, { colorScheme, viewport: { width, height: 860 }, reducedMotion: "reduce" });
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(`${server.url}/ui/${path}`);
      await page.waitForTimeout(700);
      const picture = `${name}-${colorScheme}-${width}`;
      const file = join(ALL, `${picture}.png`);
      const isBest = BEST.includes(picture);
      await page.screenshot({ path: file, fullPage: !isBest });
      if (isBest) copyFileSync(file, join(KEPT, `${name}-${colorScheme}${width < 400 ? "-phone" : ""}.png`));
    }
    await page.context().close();
  }
} finally {
  await browser.close();
  await server.end();
}
