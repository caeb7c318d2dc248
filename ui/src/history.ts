/** What a run's events mean: attempts at phases, where it stood after any event, and why each edge was taken. */

import type { EventView, StateView } from "./api/schema";

/** A stay of the run in one phase, from one event to the next. */
export interface Attempt {
  readonly state: string;
  readonly attempt: number;
  readonly begins: number;
  /** Milliseconds since 1970; `null` while it lasts. */
  readonly ends: number | null;
  readonly how: "done" | "failed" | "interrupted" | "running";
}

export const TERMINAL: ReadonlySet<string> = new Set(["completed", "failed"]);

export function isRefused(event: EventView): boolean {
  return event.detail !== null && "refused" in event.detail;
}

export function isError(event: EventView): boolean {
  return isRefused(event) || event.dest === "failed";
}

/** The events that moved the run. */
export function moves(events: readonly EventView[]): EventView[] {
  return events.filter((event) => !isRefused(event));
}

export function attemptsOf(events: readonly EventView[]): Attempt[] {
  const moved = moves(events);
  return moved.flatMap((event, index) => {
    if (TERMINAL.has(event.dest)) return [];
    const next = moved[index + 1];
    return [
      {
        state: event.dest,
        attempt: event.attempt,
        begins: Date.parse(event.at),
        ends: next === undefined ? null : Date.parse(next.at),
        how: howEnded(next),
      },
    ];
  });
}

function howEnded(next: EventView | undefined): Attempt["how"] {
  if (next === undefined) return "running";
  if (next.dest === "failed") return "failed";
  return next.trigger === "resume" ? "interrupted" : "done";
}

/** Where the run stood after these events. */
export interface Standing {
  readonly state: string | null;
  readonly done: ReadonlySet<string>;
  readonly taken: ReadonlySet<string>;
  readonly failedIn: string | null;
}

export function edgeKey(source: string, dest: string): string {
  return `${source}→${dest}`;
}

export function standingAfter(events: readonly EventView[], states: readonly StateView[]): Standing {
  const moved = moves(events);
  const state = moved.at(-1)?.dest ?? null;
  const order = states.map((each) => each.state);
  const failure = moved.findLast((event) => event.dest === "failed");
  const failedIn = state === "failed" ? (failure?.source ?? null) : null;
  const reached = order.indexOf(failedIn ?? state ?? "");
  return {
    state,
    done: new Set(order.slice(0, Math.max(0, reached)).filter((each) => !TERMINAL.has(each))),
    taken: new Set(moved.map((event) => edgeKey(event.source, event.dest))),
    failedIn,
  };
}

const WHY: Readonly<Record<string, string>> = {
  start: "The run was created in its first phase.",
  advance: "The phase returned: its rows and this step were committed together.",
  fail: "The phase raised an error; what it had not check pointed was rolled back.",
  time_out: "The hard limit had passed; what was open was rolled back.",
  cancel: "Somebody asked for it; what was open was rolled back.",
  resume: "A person asked for it to go on from the phase that it failed in.",
};

/** One sentence on why an edge was taken, or refused. */
export function why(event: EventView): string {
  const detail = event.detail ?? {};
  if ("refused" in detail) return `Refused: ${String(detail["refused"])}`;
  if (detail["owner_died"] === true) {
    return event.dest === "failed"
      ? "Its process had died, and it was not to go on."
      : "Its process had died: this one took the run over and entered the phase again.";
  }
  if (detail["stopped"] === true) return "Its process had been stopped on purpose: the phase goes on here.";
  if (detail["abandoned"] === true) return "The phase hung past the limit and its grace: it was cut off.";
  return WHY[event.trigger] ?? event.trigger;
}

export function traceback(event: EventView): string | null {
  const trace = event.detail?.["traceback"];
  return typeof trace === "string" ? trace : null;
}

/** The states that a run of other phases went through, by what its history says of them. */
export function statesOf(events: readonly EventView[]): StateView[] {
  return [...new Set(moves(events).map((event) => event.dest))].map((state) => ({ state, label: state.replaceAll("_", " "), phase: null }));
}
