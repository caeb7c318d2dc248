/** `npm run measure`: how light the page is and how smooth it stays; prints a table, asserts nothing. */

import { loadavg } from "node:os";

import type { Browser, Page } from "playwright-core";

import { launch, watched } from "./browser";
import { Server } from "./server";
import { burning, failed, weeks } from "./stage";

const ROUNDS = 5;
/** What the browser's own tracing says of a piece of work of a thread; in microseconds. */
interface Traced {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

function middle(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN;
}

/** The longest that a task held the page's thread: by the clock, and what of the processor any of them took. */
function longest(trace: Buffer): { wallMs: number; busyMs: number } {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: readonly Traced[] };
  const thread = ({ pid, tid }: Traced) => `${pid} ${tid}`;
  const pages = new Set(traceEvents.filter((event) => event.args?.name === "CrRendererMain").map(thread));
  const tasks = traceEvents.filter((event) => event.name === "ThreadControllerImpl::RunTask" && pages.has(thread(event)));
  const most = (of: (task: Traced) => number | undefined) => Math.max(0, ...tasks.map((task) => of(task) ?? 0)) / 1_000;
  return { wallMs: most((task) => task.dur), busyMs: most((task) => task.tdur) };
}

interface Visit {
  readonly usefulMs: number;
  readonly requests: number;
  readonly bytes: number;
  readonly wallMs: number;
  readonly busyMs: number;
}

/**
 * Opens an address in a new browser profile until an element shows a text, then goes through it.
 * Elements are found by their place: finding them by role and name would keep the page's own thread busy.
 */
async function visit(browser: Browser, url: string, element: string, text: string, through: (page: Page) => Promise<void>): Promise<Visit> {
  const { page } = await watched(browser, new URL(url).origin);
  await browser.startTracing(page, { categories: ["toplevel"] });
  const sizes: Promise<number>[] = [];
  page.on("requestfinished", (request) => sizes.push(request.sizes().then((size) => size.responseBodySize)));
  const began = performance.now();
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForFunction(([where = "", said = ""]) => document.querySelector(where)?.textContent?.includes(said), [element, text]);
  const usefulMs = performance.now() - began;
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  const requests = sizes.length;
  await through(page);
  const found = { usefulMs, requests, bytes, ...longest(await browser.stopTracing()) };
  await page.context().close();
  return found;
}

async function row(name: string, once: () => Promise<Visit>): Promise<void> {
  const visits: Visit[] = [];
  for (let round = 0; round < ROUNDS; round += 1) visits.push(await once());
  const useful = Math.round(middle(visits.map((each) => each.usefulMs)));
  const [wall, busy] = [(each: Visit) => each.wallMs, (each: Visit) => each.busyMs].map((of) => Math.round(Math.max(...visits.map(of))));
  const [first] = visits;
  console.log(`| ${name} | ${useful} ms | ${first?.requests} | ${Math.round((first?.bytes ?? 0) / 1000)} kB | ${wall} ms | ${busy} ms |`);
}

const TABS = 11;
const ASKED = 300;
const WATCHED_MS = 20_000;
/** Writes down how long the shown step stays the same, at most. */
const GAPS = `window.longest = 0; window.shown = ""; window.since = performance.now();
  setInterval(() => {
    const step = document.querySelector(".steps")?.textContent?.split(" ")[0];
    const now = performance.now();
    window.longest = Math.max(window.longest, now - window.since);
    if (step !== window.shown) [window.shown, window.since] = [step, now];
  }, 20)`;

/** Eleven tabs follow a run that burns the processor in the server: how soon is everybody answered? */
async function tabs(browser: Browser, server: Server): Promise<void> {
  const id = await burning(server);
  const { page: first } = await watched(browser, server.url);
  const all = [first];
  while (all.length < TABS) all.push(await first.context().newPage());
  for (const tab of all) await tab.goto(`${server.url}/ui/runs/${id}`);
  for (const tab of all) await tab.locator(".steps").waitFor();
  for (const tab of all) await tab.evaluate(GAPS);
  const until = performance.now() + WATCHED_MS;
  const status: number[] = [];
  while (status.length < ASKED || performance.now() < until) {
    const began = performance.now();
    await server.ask("GET", `/runs/${id}/status`);
    status.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const gaps = await Promise.all(all.map((tab) => tab.evaluate("window.longest") as Promise<number>));
  const said = await Promise.all(all.map((tab) => tab.locator(".connection").textContent()));
  const live = gaps.filter((_gap, index) => said[index] === "live");
  const asking = gaps.filter((_gap, index) => said[index] !== "live");
  const clicks: number[] = [];
  const last = all.at(-1) as Page;
  for (let round = 0; round < ROUNDS; round += 1) {
    const began = performance.now();
    await last.getByRole("link", { name: "Runs", exact: true }).click();
    await last.getByRole("link", { name: "Run 1", exact: true }).waitFor();
    clicks.push(performance.now() - began);
    await last.getByRole("link", { name: `Run ${id}`, exact: true }).click();
    await last.locator(".steps").waitFor();
  }
  await first.context().close();
  await server.ask("POST", `/runs/${id}/cancel`);
  await server.ended(id);
  const sorted = status.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? NaN;
  console.log(`\n| ${TABS} tabs on a run that burns the processor | |`);
  console.log("|---|---:|");
  console.log(`| \`/status\` beside them, ${sorted.length} requests: median, 99 %, worst | ${[0.5, 0.99, 1].map((share) => Math.round(at(share))).join(", ")} ms |`);
  console.log(`| click to the list of runs in the eleventh tab, ${ROUNDS} times: median, worst | ${Math.round(middle(clicks))}, ${Math.round(Math.max(...clicks))} ms |`);
  console.log(`| longest time without a new step, ${live.length} live tabs | ${Math.round(Math.max(...live))} ms |`);
  console.log(`| longest time without a new step, ${asking.length} tabs that ask | ${Math.round(Math.max(...asking))} ms |`);
}

const server = await new Server().start();
const browser = await launch();
try {
  server.open();
  await weeks(server, ["2025-03-12", "2025-03-13"]);
  await failed(server);
  const ids = server.fill();
  console.log("| page | useful after (median) | requests | transferred | longest task by the clock (worst) | of the processor (worst) |");
  console.log("|---|---:|---:|---:|---:|---:|");
  await row("the list of runs", () => visit(browser, `${server.url}/ui/`, "tbody a", "Run", () => Promise.resolve()));
  await row("a run with 2,000 steps, scrubbed and unfolded", () =>
    visit(browser, `${server.url}/ui/runs/${ids.broken}`, ".scrubber", "after step 2004 of 2004", async (page) => {
      for (const key of ["Home", "PageUp", "PageUp", "End"]) await page.locator(".scrubber input").press(key);
      for (let more = 0; more < 3; more += 1) await page.locator(".history + button").click();
      await page.locator(".check input").click();
    }),
  );
  await row("a signal with 500 comments, all shown", () =>
    visit(browser, `${server.url}/ui/signals/${ids.many}`, "#evidence", "(500)", async (page) => {
      const more = page.locator(".comments + button");
      while ((await more.count()) > 0) await more.click();
    }),
  );
  await tabs(browser, server);
  console.log(`\nload average at the end: ${loadavg()[0]?.toFixed(1)}`);
} finally {
  await browser.close();
  await server.end();
}
