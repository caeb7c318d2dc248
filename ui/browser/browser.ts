/** The browser that the page is driven with, and an ear for everything that it complains of. */

import { existsSync } from "node:fs";

import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
export const WHY_NOT = existsSync(CHROMIUM) ? null : `there is no browser at ${CHROMIUM}; say CHROMIUM=...`;

/** What a root user in a container needs, and nothing that calls home. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}

export interface Watched {
  readonly page: Page;
  /** Errors and warnings of the console, violations of the policy, dialogs, requests to anybody else. */
  readonly complaints: readonly string[];
}

/** Opens a page and writes down what goes wrong in it. `expected` names complaints that are part of the test. */
export async function watched(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
  expected: RegExp = /^$/,
): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const complain = (what: string) => void (expected.test(what) || complaints.push(what));
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && complain(`console: ${said.text()}`));
  page.on("pageerror", (error) => complain(`error: ${error.message}`));
  page.on("dialog", (dialog) => (complain(`dialog: ${dialog.message()}`), void dialog.dismiss()));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) complain(`request: ${request.url()}`);
  });
  return { page, complaints };
}
