/** A person starts a run, watches it, steers it, and loses the server in the middle. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { launch, watched, WHY_NOT } from "./browser";
import { Server } from "./server";
import { failed, working } from "./stage";

const LOST = /Failed to load resource|net::ERR/;

describe.skipIf(WHY_NOT !== null)(`steering a run${WHY_NOT === null ? "" : `: ${WHY_NOT}`}`, () => {
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

  async function at(path: string, expected?: RegExp): Promise<{ page: Page; complaints: readonly string[] }> {
    const opened = await watched(browser, server.url, {}, expected);
    await opened.page.goto(server.url + path);
    return opened;
  }

  test("a run is started with one click and watched to its end", async () => {
    const { page, complaints } = await at("/ui/");
    await page.getByRole("button", { name: "Start" }).click();
    await page.waitForURL(/\/ui\/runs\/\d+$/);

    await page.getByRole("button", { name: "Completed: reached" }).waitFor();
    await page.getByText("The phase returned").first().waitFor();
    expect(await page.getByRole("button", { name: ": done" }).count()).toBe(7);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("the form offers what this server has, says what the rest wants, and starts what was chosen", async () => {
    const { page, complaints } = await at("/ui/");
    const source = page.getByLabel("Source");
    await source.getByText("as the server is set: sample").waitFor({ state: "attached" });

    expect(await source.locator("option:enabled").allTextContents()).toEqual(["as the server is set: sample", "sample", "archive"]);
    expect(await source.locator("option:disabled").allTextContents()).toEqual(["reddit (not set up)"]);
    await page.getByText("2 more when they are set up").click();
    await page.getByText(/REDDIT_CLIENT_ID/).waitFor();
    await page.getByText(/PHASELINE_LLM_BASE_URL/).waitFor();

    await source.selectOption("archive");
    expect(await page.getByPlaceholder("PATH[,PATH...]").getAttribute("required")).not.toBeNull();
    await source.selectOption("sample");
    await page.getByLabel("Analyser").selectOption("lexicon");
    await page.getByLabel("Subreddit").fill("stocks");
    await page.getByRole("button", { name: "Start" }).click();
    await page.waitForURL(/\/ui\/runs\/\d+$/);
    const run = await server.ask<{ params: Record<string, string> }>("GET", new URL(page.url()).pathname.slice("/ui".length));
    expect(run.params).toMatchObject({ source: "sample", analyzer: "lexicon", subreddit: "stocks" });
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a run at work shows its steps, is cancelled, and resumes to its end", async () => {
    const id = await working(server);
    const { page, complaints } = await at(`/ui/runs/${id}`);
    await page.getByText(/of 4,000 comments/).waitFor();
    await page.getByRole("button", { name: "Analyzing comments: the run is here" }).waitFor();

    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Analyzing comments: failed here" }).waitFor();
    await page.getByText("Somebody asked for it").waitFor();

    server.open();
    await page.getByRole("button", { name: "Resume in “Analyzing comments”" }).click();
    await page.getByRole("button", { name: "Completed: reached" }).waitFor();
    await page.getByRole("button", { name: "Analyzing comments ×2: done" }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("the page tells that the server has died, and goes on when there is one again", async () => {
    const id = await working(server);
    const { page, complaints } = await at(`/ui/runs/${id}`, LOST);
    await page.getByText(/of 4,000 comments/).waitFor();

    await server.kill();
    await page.getByText("the server does not answer").waitFor();
    await server.start();
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Analyzing comments ×2: the run is here" }).waitFor();
    server.open();
    await page.getByRole("button", { name: "Completed: reached" }).waitFor();

    expect(await page.getByText("Its process had died").count()).toBe(1);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("a second run is refused with a link to the first", async () => {
    const id = await working(server);
    const { page, complaints } = await at("/ui/", LOST);
    await page.getByRole("button", { name: "Start" }).click();

    await page.getByRole("link", { name: `Go to run ${id}` }).click();

    await page.waitForURL(`**/ui/runs/${id}`);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("why a run failed is told in the list, and its traceback is two clicks away", async () => {
    const id = await failed(server, "line 4,117 of the archive is no JSON");
    const { page, complaints } = await watched(browser, server.url);
    await page.addInitScript("window.clicks = 0; addEventListener('click', () => (window.clicks += 1), true)");
    await page.goto(`${server.url}/ui/`);
    await page.getByText("error: line 4,117 of the archive is no JSON").first().waitFor();
    expect(await page.evaluate("window.clicks")).toBe(0);

    await page.getByRole("link", { name: `Run ${id}`, exact: true }).click();
    await page.getByText("Traceback").first().click();

    await page.getByText("RuntimeError: line 4,117 of the archive is no JSON").first().waitFor();
    await page.getByText("the archive answered late").waitFor();
    expect(await page.evaluate("window.clicks")).toBe(2);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("filters are in the address, and an address shows them again", async () => {
    const id = await failed(server);
    const { page, complaints } = await at("/ui/");
    await page.getByRole("button", { name: "failed", exact: true }).click();
    expect(new URL(page.url()).search).toBe("?status=failed");

    await page.goto(`${server.url}/ui/runs/${id}?errors=1&phase=analyzing_comments`);

    expect(await page.getByRole("checkbox", { name: /Errors only/ }).isChecked()).toBe(true);
    await page.getByRole("button", { name: "Analyzing comments: failed here", pressed: true }).waitFor();
    expect(await page.locator(".history li").count()).toBe(1);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("the scrubber shows the run as it was", async () => {
    const id = await failed(server);
    const { page } = await at(`/ui/runs/${id}?at=1`);

    await page.getByRole("button", { name: "Fetching Reddit: the run is here" }).waitFor();
    await page.getByRole("slider").press("End");

    await page.getByRole("button", { name: "Analyzing comments: failed here" }).waitFor();
    expect(new URL(page.url()).search).toBe("");
    await page.context().close();
  });

  test("another page has its own title, and the keyboard goes on inside it", async () => {
    const { page, complaints } = await at("/ui/");
    await page.waitForFunction(() => document.title === "Runs – Phaseline");
    await page.getByRole("link", { name: "Signals" }).click();
    await page.getByRole("heading", { name: "Signals" }).waitFor();

    expect(await page.title()).toBe("Signals – Phaseline");
    expect(await page.evaluate("document.activeElement.id")).toBe("content");
    await page.keyboard.press("Tab");
    expect(await page.locator("#content :focus").count()).toBe(1);

    await page.getByRole("link", { name: "To the content" }).focus();
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("content");
    expect(new URL(page.url()).pathname).toBe("/ui/signals");
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("everything is done with the keyboard alone", async () => {
    server.shut();
    const { page, complaints } = await at("/ui/");
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").textContent()).toContain("To the content");
    await page.getByRole("button", { name: "Start" }).waitFor();
    for (let tabs = 0; !(await focused(page)).includes("Start"); tabs += 1) {
      expect(tabs).toBeLessThan(20);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/runs\/\d+$/);
    const state = page.getByRole("button", { name: /Fetching Reddit:/ });
    await state.focus();
    expect(await focused(page)).toContain("Fetching");
    await page.keyboard.press("Enter");

    await page.waitForURL(/phase=fetching_reddit/);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

async function focused(page: Page): Promise<string> {
  return (await page.locator(":focus").textContent()) ?? "";
}
