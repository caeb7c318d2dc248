/** A real `phaseline serve` in a folder of its own: started, killed and started again at the same address. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const PYTHON = process.env["PYTHON"] ?? join(ROOT, ".venv/bin/python");
const LOOK_MS = 100;

export interface Status {
  readonly run_id: number;
  readonly status: "running" | "completed" | "failed";
  readonly state: string;
  readonly step_current: number | null;
}

export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "phaseline-page-"));
  readonly db = join(this.folder, "page.db");
  /** A run that waits goes on, and one that breaks no longer does, once this file is there. */
  readonly gate = join(this.folder, "gate");
  url = "";
  private port = "0";
  private child: ChildProcess | undefined;

  constructor(private readonly settings: Readonly<Record<string, string>> = {}) {}

  async start(): Promise<this> {
    const child = spawn(PYTHON, ["-m", "api.cli", "serve", "--json", "--lifeline"], {
      cwd: ROOT,
      env: { ...bare(), PHASELINE_DB: this.db, PHASELINE_PORT: this.port, ...STAGED, ...prefixed(this.settings) },
      stdio: ["pipe", "pipe", "ignore"], // runs fail here on purpose, and say so at length
    });
    this.child = child;
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (data: Buffer) => resolve(data.toString()));
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    this.url = (JSON.parse(line) as { url: string }).url;
    this.port = new URL(this.url).port;
    return this;
  }

  /** Ends the process as a power cut would. */
  async kill(): Promise<void> {
    const child = this.child;
    if (child === undefined || child.exitCode !== null) return;
    await new Promise((resolve) => (child.once("exit", resolve), child.kill("SIGKILL")));
  }

  async end(): Promise<void> {
    this.open();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  open(): void {
    writeFileSync(this.gate, "");
  }

  shut(): void {
    rmSync(this.gate, { force: true });
  }

  async ask<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    const token = this.settings["token"];
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...headers, "content-type": "application/json" },
      ...init,
    });
    return (await answer.json()) as T;
  }

  /** Starts a run; `act` says by the number of a phase what it does first: `wait` or `break`. */
  async run(act: Readonly<Record<string, string>> = {}, more: Readonly<Record<string, string>> = {}): Promise<number> {
    const params = { act, gate: this.gate, ...more };
    return (await this.ask<Status>("POST", "/analyze", { params })).run_id;
  }

  async until(id: number, is: (status: Status) => boolean): Promise<Status> {
    for (;;) {
      const status = await this.ask<Status>("GET", `/runs/${id}/status`);
      if (is(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async ended(id: number): Promise<Status> {
    return this.until(id, (status) => status.status !== "running");
  }

  /** Puts the hostile comments, the many comments and the long history into the database. */
  fill(): { hostile: number; many: number; broken: number } {
    const said = execFileSync(PYTHON, ["-m", "tests.ui.fill", this.db], { cwd: ROOT, encoding: "utf-8" });
    return JSON.parse(said) as { hostile: number; many: number; broken: number };
  }

  /** Lets the open options have been looked at long ago. */
  age(): void {
    execFileSync(PYTHON, ["-m", "tests.ui.stale", this.db], { cwd: ROOT });
  }
}

const STAGED = { PHASELINE_PHASES: "tests.ui.staged:PHASES", PHASELINE_LOG_FORMAT: "plain" };

/** The environment without anybody's settings. */
function bare(): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !/^(PHASELINE|REDDIT|SCHWAB)_/.test(name));
  return Object.fromEntries(ours);
}

function prefixed(settings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [`PHASELINE_${name.toUpperCase()}`, value]));
}
