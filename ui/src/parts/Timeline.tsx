/** One bar for each stay in a phase, on one axis of time. */

import type { StateView } from "../api/schema";
import type { Attempt } from "../history";
import { duration } from "../words";

interface Props {
  readonly attempts: readonly Attempt[];
  readonly states: readonly StateView[];
  readonly now: number;
  readonly chosen: string;
  readonly choose: (state: string) => void;
}

const ENDED: Readonly<Record<Attempt["how"], string>> = {
  done: "done",
  failed: "failed",
  interrupted: "interrupted, entered again",
  running: "running",
};

/** The thinnest bar is this part of the whole; attempts that are closer together than that share one. */
const FINEST = 250;

interface Bar {
  readonly begins: number;
  readonly ends: number;
  readonly how: Attempt["how"];
  readonly said: string;
}

export function barsOf(attempts: readonly Attempt[], now: number, finest: number): Bar[] {
  const bars: { attempts: Attempt[]; begins: number; ends: number }[] = [];
  for (const attempt of attempts) {
    const ends = attempt.ends ?? now;
    const last = bars.at(-1);
    if (last !== undefined && ends - last.begins < finest) {
      last.attempts.push(attempt);
      last.ends = ends;
    } else bars.push({ attempts: [attempt], begins: attempt.begins, ends });
  }
  return bars.map(({ attempts: own, begins, ends }) => {
    const last = own.at(-1) as Attempt;
    const said = own.length === 1 ? `attempt ${last.attempt}` : `${own.length} attempts, the last one`;
    return { begins, ends, how: last.how, said: `${said}: ${ENDED[last.how]}` };
  });
}

export function Timeline({ attempts, states, now, chosen, choose }: Props) {
  const first = attempts[0];
  if (first === undefined) return <p class="empty">Nothing has happened yet.</p>;
  const ends = attempts.map((attempt) => attempt.ends ?? now);
  const span = Math.max(1, Math.max(...ends) - first.begins);
  const rows = states.filter((state) => attempts.some((attempt) => attempt.state === state.state));
  return (
    <table class="timeline">
      <caption class="hidden">How long each attempt at a phase took</caption>
      <thead class="hidden">
        <tr>
          <th scope="col">Phase</th>
          <th scope="col">Attempts</th>
          <th scope="col">Time</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((state) => {
          const own = attempts.filter((attempt) => attempt.state === state.state);
          const seconds = own.reduce((sum, each) => sum + ((each.ends ?? now) - each.begins) / 1000, 0);
          return (
            <tr key={state.state} class={chosen === state.state ? "chosen" : ""}>
              <th scope="row">
                <button class="plain" onClick={() => choose(chosen === state.state ? "" : state.state)}>
                  {state.label}
                </button>
              </th>
              <td class="bars">
                {barsOf(own, now, span / FINEST).map((bar) => (
                  <span
                    key={bar.begins}
                    class={`bar ${bar.how}`}
                    style={{
                      left: `${((bar.begins - first.begins) / span) * 100}%`,
                      width: `${Math.max(100 / FINEST, ((bar.ends - bar.begins) / span) * 100)}%`,
                    }}
                    title={bar.said}
                  >
                    <span class="hidden">{bar.said},</span>
                  </span>
                ))}
              </td>
              <td class="number">{duration(seconds)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
