import { expect, test } from "vitest";

import type { EventView, StateView } from "../src/api/schema";
import { attemptsOf, isError, standingAfter, statesOf, why } from "../src/history";
import { barsOf } from "../src/parts/Timeline";

let seq = 0;

function event(trigger: string, source: string, dest: string, detail: EventView["detail"] = null): EventView {
  seq += 1;
  const at = new Date(Date.UTC(2025, 0, 1, 0, 0, seq)).toISOString();
  return { seq, run_id: 1, at, trigger, source, dest, phase: 1, attempt: 1, detail };
}

const STATES: StateView[] = ["one", "two", "completed", "failed"].map((state) => ({ state, label: state, phase: null }));

test("each stay in a phase is an attempt that ends as its next event says", () => {
  const events = [
    event("start", "", "one"),
    event("resume", "one", "one", { owner_died: true }),
    event("advance", "one", "two"),
    event("fail", "two", "failed", { error: "ValueError", traceback: "..." }),
    event("resume", "failed", "two"),
  ];

  expect(attemptsOf(events).map(({ state, how }) => [state, how])).toEqual([
    ["one", "interrupted"],
    ["one", "done"],
    ["two", "failed"],
    ["two", "running"],
  ]);
});

test("a refused step is an error that moves nothing", () => {
  const events = [event("start", "", "one"), event("resume", "one", "one", { refused: "it runs" })];

  expect(events.map(isError)).toEqual([false, true]);
  expect(standingAfter(events, STATES).state).toBe("one");
  expect(attemptsOf(events)).toHaveLength(1);
  expect(why(events[1] as EventView)).toBe("Refused: it runs");
});

test("a failed run shows the phase that it failed in, and what was done before it", () => {
  const standing = standingAfter(
    [event("start", "", "one"), event("advance", "one", "two"), event("time_out", "two", "failed")],
    STATES,
  );

  expect(standing.failedIn).toBe("two");
  expect([...standing.done]).toEqual(["one"]);
});

test("attempts too close together to be seen apart share a bar", () => {
  const attempt = (begins: number, ends: number | null) => ({ state: "one", attempt: 1, begins, ends, how: "failed" as const });

  const bars = barsOf([attempt(0, 1), attempt(2, 3), attempt(100, null)], 200, 10);

  expect(bars.map((bar) => [bar.begins, bar.ends, bar.said])).toEqual([
    [0, 3, "2 attempts, the last one: failed"],
    [100, 200, "attempt 1: failed"],
  ]);
});

test("a run of phases that this server does not know is told by its own history", () => {
  const events = [event("start", "", "dig_deep"), event("advance", "dig_deep", "completed")];

  expect(statesOf(events).map((state) => state.label)).toEqual(["dig deep", "completed"]);
});
