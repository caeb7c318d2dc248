/** What pages share: reading the API with its errors, following a run, preferences, and a clock that ticks. */

import { useEffect, useState } from "preact/hooks";

import { get, TOKEN_WANTED } from "./api/client";
import { type Connection, follow } from "./api/follow";
import type { EventView, MachineView, RunStatus } from "./api/schema";

export interface Loaded<T> {
  readonly value: T | null;
  readonly error: Error | null;
  readonly again: () => void;
}

/** Reads an address: again when it changes, every so often, or when what it depends on does; keeps the old value meanwhile. */
export function useLoaded<T>(path: string | null, everyMs?: number, dependsOn?: unknown): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    if (path === null) return;
    const stopping = new AbortController();
    const load = () =>
      get<T>(path, stopping.signal).then(
        (found) => (setValue(found), setError(null)),
        (failed: Error) => stopping.signal.aborted || setError(failed),
      );
    void load();
    const timer = everyMs === undefined ? undefined : setInterval(() => document.hidden || void load(), everyMs);
    return () => (stopping.abort(), clearInterval(timer));
  }, [path, everyMs, dependsOn, asked]);
  return { value, error, again: () => setAsked((times) => times + 1) };
}

/** Whether the server takes work, asked every so often but not at once: what the page shows is asked for first. */
export function useTrouble(everyMs: number): Error | null {
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    const ask = () => document.hidden || void get("/readyz").then(() => setError(null), setError);
    const timer = setInterval(ask, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return error;
}

/** Whether somebody was told that a token is wanted. */
export function useTokenWanted(): boolean {
  const [wanted, setWanted] = useState(false);
  useEffect(() => {
    const told = () => setWanted(true);
    addEventListener(TOKEN_WANTED, told);
    return () => removeEventListener(TOKEN_WANTED, told);
  }, []);
  return wanted;
}

export interface Followed {
  readonly status: RunStatus | null;
  readonly events: readonly EventView[];
  readonly connection: Connection;
  readonly error: Error | null;
}

const NOTHING: Followed = { status: null, events: [], connection: "connecting", error: null };

/** Follows a run for as long as the page shows it; `round` starts anew, as after a resume. */
export function useRun(runId: number, round: number): Followed {
  const [followed, setFollowed] = useState<Followed>(NOTHING);
  useEffect(() => {
    setFollowed((before) => (before.status?.run_id === runId ? { ...before, events: [] } : NOTHING));
    let waiting: EventView[] = [];
    let timer: number | undefined;
    const flush = () => {
      const news = waiting;
      waiting = [];
      timer = undefined;
      setFollowed((before) => ({ ...before, events: [...before.events, ...news] }));
    };
    const stop = follow(runId, {
      event: (event) => {
        waiting.push(event);
        timer ??= requestAnimationFrame(flush);
      },
      status: (status) => setFollowed((before) => ({ ...before, status, error: null })),
      connection: (connection) => setFollowed((before) => ({ ...before, connection })),
      refused: (error) => setFollowed((before) => ({ ...before, error })),
    });
    return () => {
      stop();
      if (timer !== undefined) cancelAnimationFrame(timer);
    };
  }, [runId, round]);
  return followed;
}

export function useMachine(): MachineView | null {
  return useLoaded<MachineView>("/machine").value;
}

/** The time now, ticking while something runs. */
export function useNow(ticking: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!ticking) return;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [ticking]);
  return now;
}

/** Names the page in the browser's tab and history. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – Phaseline`;
  }, [title]);
}

/** A choice that this browser remembers. */
export function usePreference<T extends string>(name: string, first: T): [T, (value: T) => void] {
  const key = `phaseline.${name}`;
  const [value, setValue] = useState<T>(() => (localStorage.getItem(key) as T | null) ?? first);
  return [value, (chosen) => (localStorage.setItem(key, chosen), setValue(chosen))];
}

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setHolds(list.matches);
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, [query]);
  return holds;
}

/** Reads several addresses, again when what they depend on changes; what has not come yet is missing. */
export function useAll<T>(paths: readonly string[], dependsOn = ""): readonly (T | undefined)[] {
  const [values, setValues] = useState<ReadonlyMap<string, T>>(new Map());
  useEffect(() => {
    const stopping = new AbortController();
    for (const path of paths) {
      get<T>(path, stopping.signal).then(
        (value) => setValues((before) => new Map(before).set(path, value)),
        () => undefined, // the page says so already: it asks the same server for more than this
      );
    }
    return () => stopping.abort();
  }, [paths.join(" "), dependsOn]);
  return paths.map((path) => values.get(path));
}
