/** How far a run is: phases done, and the steps of the phase that it is in with rate and time left. */

import type { EventView, RunStatus } from "../api/schema";
import { moves } from "../history";
import { count, duration, instant, type Zone } from "../words";

interface Props {
  readonly status: RunStatus;
  readonly now: number;
  readonly events: readonly EventView[];
  readonly zone: Zone;
}

export function Progress({ status, now, events, zone }: Props) {
  const { progress_current: phase, progress_total: phases, step_current: step, step_total: steps } = status;
  const running = status.status === "running";
  return (
    <section class="progress" aria-label="Progress">
      <p>
        <strong>
          {running ? status.phase_label : status.status}
        </strong>{" "}
        <span class="quiet">
          phase {phase} of {phases}
        </span>
        {running && step !== null && <Steps status={status} now={now} events={events} />}
        <span class="quiet last">
          started <time dateTime={status.started_at}>{instant(status.started_at, zone)}</time>
          {!running && (
            <>
              , ended <time dateTime={status.updated_at}>{instant(status.updated_at, zone)}</time>
            </>
          )}
        </span>
      </p>
      <progress
        max={phases}
        value={running ? phase - 1 + (step !== null && steps ? step / steps : 0) : status.status === "completed" ? phases : phase - 1}
        aria-label="Progress of the run"
      />
    </section>
  );
}

function Steps({ status, now, events }: Omit<Props, "zone">) {
  const step = status.step_current ?? 0;
  const entered = moves(events).at(-1);
  const seconds = entered === undefined ? 0 : Math.max(1, (now - Date.parse(entered.at)) / 1000);
  const rate = step / seconds;
  const left = status.step_total !== null && rate > 0 ? (status.step_total - step) / rate : null;
  return (
    <span class="steps">
      {status.step_total === null
        ? count(step, status.step_unit ?? "step")
        : `${step.toLocaleString("en-US")} of ${count(status.step_total, status.step_unit ?? "step")}`}
      {seconds > 3 && rate > 0 && `, ${rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en-US")} a second`}
      {seconds > 3 && left !== null && `, about ${duration(left)} left in this phase`}
    </span>
  );
}
