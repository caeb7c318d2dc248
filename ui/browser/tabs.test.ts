/** Tabs that get no stream: because none gets through, because nobody looks at them, or because there are eleven. */

import type { Browser, Page, Route } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { launch, watched, WHY_NOT } from "./browser";
import { Server } from "./server";
import { burning, working } from "./stage";

const REFUSED = /Failed to load resource/;
const STREAM = /\/stream$/;
const TABS = 11;

describe.skipIf(WHY_NOT !== null)(`tabs without a stream${WHY_NOT === null ? "" : `: ${WHY_NOT}`}`, () => {
  let server: Server;
  let browser: Browser;

  beforeAll(async () => {
    [server, browser] = await Promise.all([new Server().start(), launch()]);
  });
  afterAll(async () => {
    await Promise.all([browser.close(), server.end()]);
  });
  beforeEach(async () => {
    server.open();
    for (const run of (await server.ask<{ items: { id: number }[] }>("GET", "/runs?status=running")).items) await server.ended(run.id);
  });

  test.each([
    ["refused", (route: Route) => route.abort()],
    ["answered with an error", (route: Route) => route.fulfill({ status: 502, body: "no" })],
    ["held back on the way", () => undefined],
  ])("where streams are %s the page says so, and moves by asking", async (_how, meet) => {
    const id = await working(server);
    const { page, complaints } = await watched(browser, server.url, {}, REFUSED);
    await page.route(STREAM, meet);
    await page.goto(`${server.url}/ui/runs/${id}`);

    await page.getByText("no live stream gets through; asking every two seconds").waitFor();
    await moved(page);
    server.open();
    await page.getByRole("button", { name: "Completed: reached" }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a tab that nobody looks at gives its stream back, and goes on when it is looked at", async () => {
    const id = await working(server);
    const { page, complaints } = await watched(browser, server.url);
    await page.addInitScript("Object.defineProperty(Document.prototype, 'hidden', { get: () => window.isHidden === true })");
    await page.goto(`${server.url}/ui/runs/${id}`);
    await page.getByText("live", { exact: true }).waitFor();

    const closed = page.waitForEvent("requestfailed", (request) => STREAM.test(request.url()));
    await page.evaluate("window.isHidden = true; document.dispatchEvent(new Event('visibilitychange'))");
    await closed;
    const opened = page.waitForRequest(STREAM);
    await page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))");
    await opened;

    await moved(page);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("eleven tabs on a run that burns the processor all move, and the eleventh is answered at once", async () => {
    const id = await burning(server);
    const { page: first, complaints } = await watched(browser, server.url);
    const tabs = [first];
    while (tabs.length < TABS) tabs.push(await first.context().newPage());
    for (const tab of tabs) await tab.goto(`${server.url}/ui/runs/${id}`);
    await Promise.all(tabs.map((tab) => moved(tab)));

    const said = await Promise.all(tabs.map((tab) => tab.locator(".connection").textContent()));
    expect(said.filter((each) => each === "live")).toHaveLength(3);
    expect(said.filter((each) => each?.startsWith("other tabs hold the live streams"))).toHaveLength(TABS - 3);

    const last = tabs.at(-1) as Page;
    expect(await last.evaluate("fetch('/healthz').then((answer) => answer.status)")).toBe(200);
    await first.close();
    await last.getByRole("button", { name: "Cancel" }).click();
    await Promise.all(tabs.slice(1).map((tab) => tab.getByRole("button", { name: "Analyzing comments: failed here" }).waitFor()));
    expect(complaints).toEqual([]);
    await last.context().close();
  });
});

/** Waits until the page shows a later step than it does now; rate and time left would change by themselves. */
async function moved(page: Page): Promise<void> {
  const before = (await page.locator(".steps").textContent())?.split(" ")[0];
  await page.waitForFunction((shown) => document.querySelector(".steps")?.textContent?.split(" ")[0] !== shown, before);
}
