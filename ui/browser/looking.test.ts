/** What the page shows: nothing hostile comes alive, everybody can read it, and it is light. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { launch, watched, WHY_NOT } from "./browser";
import { Server } from "./server";
import { cancelled, failed, option, weeks, working } from "./stage";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf-8");
const REFUSED = /Failed to load resource/;

interface Finding {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

interface Sold {
  readonly id: number;
  readonly status: string;
  readonly shares_remaining: number;
}

interface Comments {
  readonly items: readonly { readonly body: string }[];
}

describe.skipIf(WHY_NOT !== null)(`looking at the page${WHY_NOT === null ? "" : `: ${WHY_NOT}`}`, () => {
  let server: Server;
  let other: Server;
  let browser: Browser;
  let ids: { hostile: number; many: number; broken: number; cancelled: number; working: number; option: number };

  beforeAll(async () => {
    other = new Server({ phases: "tests.ui.other:PHASES" });
    [server, browser] = await Promise.all([new Server().start(), launch(), other.start()]);
    server.open();
    await weeks(server, ["2025-03-12", "2025-03-13", "2025-03-14"]); // some positions are closed then, and some open
    const stopped = await cancelled(server);
    await failed(server, "<img src=x onerror=alert(1)> {{7*7}} \u202e");
    ids = { ...server.fill(), cancelled: stopped, working: await working(server), option: await option(server) };
  });
  afterAll(async () => {
    await Promise.all([browser.close(), server.end(), other.end()]);
  });

  function pages(): string[] {
    const { hostile, many, broken, working: running } = ids;
    const paths = ["", "?status=failed", "runs/1", `runs/${ids.cancelled}`, `runs/${broken}`, `runs/${running}`, "runs/999", "nowhere"];
    const found = ["signals", "signals?ticker=NONE", `signals/${hostile}`, `signals/${many}`, "signals/1"];
    const traded = ["positions", "positions?portfolio=1", "positions/1", "positions/2", `positions/${ids.option}`, "predictions"];
    return [...paths, ...found, ...traded];
  }

  test.each([
    ["light", 1360],
    ["dark", 1360],
    ["light", 390],
  ] as const)("axe finds nothing on any page, %s, %i wide, and nothing stands out of the page", async (colorScheme, width) => {
    const { page, complaints } = await watched(browser, server.url, { colorScheme, viewport: { width, height: 900 } }, REFUSED);
    const findings: string[] = [];
    for (const path of pages()) {
      await page.goto(`${server.url}/ui/${path}`, { waitUntil: "load" });
      await page.getByRole("heading", { level: 1 }).waitFor();
      await settled(page);
      // Through the debugger, for the policy of the page allows no script but its own.
      await page.evaluate(AXE);
      const said = await page.evaluate("axe.run().then((said) => said.violations)");
      for (const finding of said as Finding[]) findings.push(`${path}: ${finding.id} ${finding.nodes[0]?.html}`);
      const wide = await page.evaluate("document.documentElement.scrollWidth");
      if (Number(wide) > width) findings.push(`${path}: ${wide} wide`);
    }

    expect(findings).toEqual([]);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("sixty hostile comments are text and nothing else", async () => {
    const { page, complaints } = await watched(browser, server.url);
    const { items } = await server.ask<Comments>("GET", `/signals/${ids.hostile}/comments`);
    await page.goto(`${server.url}/ui/signals/${ids.hostile}`);
    await page.getByRole("button", { name: "Show more" }).click();
    await page.locator(".comments li").nth(59).waitFor();
    for (const comment of await page.locator(".comments li").all()) await comment.hover({ force: true, timeout: 5_000 });

    expect(items).toHaveLength(60);
    expect(await page.locator(".comments .body").allTextContents()).toEqual(items.map((comment) => comment.body));
    expect(await page.locator(".comments :is(script,img,svg,iframe,a,style,form,input,object,embed,math)").count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a hostile error message is text too", async () => {
    const { page, complaints } = await watched(browser, server.url);
    await page.goto(`${server.url}/ui/?status=failed`);

    await page.getByText("<img src=x onerror=alert(1)> {{7*7}}").first().waitFor();
    expect(await page.locator("main img").count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("the first page takes six requests and less than 250 kB", async () => {
    const { page } = await watched(browser, server.url);
    const sizes: Promise<number>[] = [];
    page.on("requestfinished", (request) => sizes.push(request.sizes().then((size) => size.responseBodySize)));
    await page.goto(`${server.url}/ui/`);
    await page.getByRole("link", { name: "Run 1", exact: true }).waitFor();

    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);

    expect(sizes.length).toBeLessThanOrEqual(6);
    expect(total).toBeLessThan(250_000);
    await page.context().close();
  });

  test("a long history and five hundred comments are all there", async () => {
    const { page, complaints } = await watched(browser, server.url);
    await page.goto(`${server.url}/ui/runs/${ids.broken}`);
    await page.getByText("after step 2004 of 2004").waitFor();
    await page.goto(`${server.url}/ui/signals/${ids.many}`);
    await page.getByRole("heading", { name: "The comments behind it (500)" }).waitFor();

    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test.each(["signals", "positions", "predictions"])("a server with other phases says plainly that it keeps no %s", async (path) => {
    const { page } = await watched(browser, other.url);
    await page.goto(`${other.url}/ui/${path}`);

    await page.getByText("The phases that this server runs keep no").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    await page.context().close();
  });

  test("a database without runs says how to begin", async () => {
    const { page, complaints } = await watched(browser, other.url);
    await page.goto(`${other.url}/ui/`);

    await page.getByText("No run yet.").waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a portfolio's equity has a row for each day that a run looked, with what the server keeps of it", async () => {
    const { page, complaints } = await watched(browser, server.url);
    const { items } = await server.ask<{ items: { day: string; value: number }[] }>("GET", "/portfolios/1/equity");
    await page.goto(`${server.url}/ui/positions?portfolio=1`);
    const chart = page.locator("figure", { hasText: "Worth at the last look of each day" });
    await chart.getByText("The same as a table").click();

    const rows = await chart.locator("tbody tr").allTextContents();
    expect(items).toHaveLength(3);
    expect(rows).toHaveLength(3);
    for (const { day, value } of items) {
      const worth = value.toLocaleString("en-US", { style: "currency", currency: "USD" });
      expect(rows.some((row) => row.startsWith(day + worth))).toBe(true);
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("an option shows its contract, the premiums that runs saw, and says what is not known", async () => {
    const { page, complaints } = await watched(browser, server.url);
    const id = await option(server);
    const position = await server.ask<{ contract_symbol: string; expiration_date: string }>("GET", `/positions/${id}`);
    const { items } = await server.ask<{ items: { premium: number }[] }>("GET", `/positions/${id}/premiums`);
    await page.goto(`${server.url}/ui/positions/${id}`);
    await page.getByText(`Runs have seen its premium ${items.length} times. Between two looks the premium isn't known`).waitFor();
    const chart = page.locator("figure", { hasText: `Premium of ${position.contract_symbol}` });
    await chart.getByText("The same as a table").click();

    const rows = (await chart.locator("tbody tr").allTextContents()).join("\n");
    for (const said of ["entry", "exit", "stop", "target", `expires ${position.expiration_date}`, `$${items[0]?.premium.toFixed(2)}`]) {
      expect(rows).toContain(said);
    }
    await page.locator("figure", { hasText: "against the strike" }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a price that is too old sells nothing, and the server's words say what to do", async () => {
    const { page } = await watched(browser, server.url, {}, REFUSED);
    const { items } = await server.ask<{ items: Sold[] }>("GET", "/positions?status=open&instrument_type=option");
    const [position] = items;
    if (position === undefined) throw new Error("nothing is held");
    server.age();
    await page.goto(`${server.url}/ui/positions/${position.id}`);
    const sell = page.locator("section", { hasText: "Sell it by hand" });
    await sell.getByLabel("Reason").fill("too late");
    await sell.getByRole("button", { name: "Sell" }).click();

    await sell.locator(".notice").waitFor();
    expect(await sell.locator(".notice").textContent()).toMatch(/was good until .*: start an analysis/);
    expect((await server.ask<Sold>("GET", `/positions/${position.id}`)).status).toBe("open");
    await page.context().close();
  });

  test("a position is sold by hand, first in part and then whole", async () => {
    const { page, complaints } = await watched(browser, server.url);
    const { items } = await server.ask<{ items: Sold[] }>("GET", "/positions?status=open&instrument_type=stock");
    const [position] = items;
    if (position === undefined) throw new Error("nothing is held");
    await page.goto(`${server.url}/ui/positions/${position.id}`);
    const sell = page.locator("section", { hasText: "Sell it by hand" });
    await sell.getByLabel("Reason").fill("half is enough");
    await sell.getByLabel("How much").selectOption("half");
    await sell.getByRole("button", { name: "Sell" }).click();
    await sell.getByText(/^Sold at \$[\d,.]+, the price of /).waitFor();
    await page.getByText("manual half is enough").waitFor();
    const left = (await server.ask<Sold>("GET", `/positions/${position.id}`)).shares_remaining;
    expect(left).toBe(position.shares_remaining - Math.floor(position.shares_remaining / 2));
    await page.getByText(`, ${left} left`).waitFor();

    await sell.getByLabel("Reason").fill("all of it");
    await sell.getByLabel("How much").selectOption("all");
    await sell.getByRole("button", { name: "Sell" }).click();
    await page.getByText("manual all of it").waitFor();
    await page.locator(".badge.closed").waitFor();

    expect(await sell.getByRole("button").count()).toBe(0);
    expect((await server.ask<Sold>("GET", `/positions/${position.id}`)).status).toBe("closed");
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a server with a token asks for it, and only in this tab", async () => {
    const guarded = await new Server({ token: "open-sesame" }).start();
    const { page } = await watched(browser, guarded.url);
    await page.goto(`${guarded.url}/ui/`);
    await page.getByLabel("Token").fill("open-sesame");
    await page.getByRole("button", { name: "Go on" }).click();

    await page.getByText("No run yet.").waitFor();
    const second = await page.context().newPage();
    await second.goto(`${guarded.url}/ui/`);
    await second.getByText("This server wants its token").waitFor();
    await page.context().close();
    await guarded.end();
  });
});

/** Waits until two looks at the page, a frame apart, see the same. */
async function settled(page: Page): Promise<void> {
  await page.waitForFunction(`new Promise((resolve) => {
    const before = document.body.innerText.length;
    setTimeout(() => resolve(document.body.innerText.length === before), 120);
  })`);
}
