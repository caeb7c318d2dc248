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
                {own.map((attempt) => (
                  <span
                    key={attempt.begins}
                    class={`bar ${attempt.how}`}
                    style={{
                      left: `${((attempt.begins - first.begins) / span) * 100}%`,
                      width: `${Math.max(0.4, (((attempt.ends ?? now) - attempt.begins) / span) * 100)}%`,
                    }}
                    title={`attempt ${attempt.attempt}: ${ENDED[attempt.how]}`}
                  >
                    <span class="hidden">
                      attempt {attempt.attempt}: {ENDED[attempt.how]},
                    </span>
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
