/** All runs, newest first. */

import type { PageRunView, RunView } from "../api/schema";
import { query } from "../api/client";
import { useLoaded, useTitle } from "../hooks";
import { Badge } from "../parts/Badge";
import { Problem } from "../parts/Notice";
import { StartRun } from "../parts/StartRun";
import { addressOf, filter, type Place } from "../router";
import { duration, instant, type Zone } from "../words";

const STATUSES = ["", "running", "completed", "failed"];
const POLL_MS = 3_000;
/** The results that say most, where a run has them. */
const TOLD = ["comments_analyzed", "signals_created", "positions_opened"];

export function Runs({ place, zone }: { place: Place; zone: Zone }) {
  const { status = "", before = "" } = place.filters;
  useTitle("Runs");
  const runs = useLoaded<PageRunView>(`/runs${query({ status, cursor: before, limit: 50 })}`, POLL_MS);
  return (
    <main>
      <h1>Runs</h1>
      <StartRun />
      <div class="head">
        <div class="tabs" role="group" aria-label="Which runs">
          {STATUSES.map((each) => (
            <button key={each} aria-pressed={status === each} onClick={() => filter(place, { status: each, before: "" })}>
              {each === "" ? "all" : each}
            </button>
          ))}
        </div>
      </div>
      <Problem error={runs.error} />
      {runs.value !== null && <Table runs={runs.value.items} zone={zone} status={status} />}
      <nav class="pages" aria-label="More runs">
        {before !== "" && <a href={addressOf([], { status })}>Newest</a>}
        {runs.value?.next_cursor != null && (
          <a href={addressOf([], { status, before: String(runs.value.next_cursor) })}>Older</a>
        )}
      </nav>
    </main>
  );
}

function Table({ runs, zone, status }: { runs: RunView[]; zone: Zone; status: string }) {
  if (runs.length === 0) {
    return <p class="empty">{status === "" ? "No run yet. Start one above: the bundled sample takes seconds." : `No ${status} run.`}</p>;
  }
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Runs">
      <table class="list">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col" class="wide">
              Where
            </th>
            <th scope="col" class="wide">
              Started
            </th>
            <th scope="col" class="number wide">
              Active
            </th>
            <th scope="col">What became of it</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <td>
                <a href={addressOf(["runs", run.id])}>Run {run.id}</a>
              </td>
              <td>
                <Badge word={run.status} />
              </td>
              <td class="wide">
                {run.phase_label}{" "}
                <small>
                  {run.progress_current}/{run.progress_total}
                </small>
              </td>
              <td class="wide">
                <time dateTime={run.started_at}>{instant(run.started_at, zone)}</time>
              </td>
              <td class="number wide">{duration(run.active_s)}</td>
              <td class="what">{outcome(run)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function outcome(run: RunView): string {
  if (run.error_message !== null) return `${run.error_code}: ${run.error_message}`;
  const found = Object.entries(run.results).filter(([, value]) => typeof value === "number");
  const told = TOLD.flatMap((name) => found.filter(([each]) => each === name));
  return (told.length > 0 ? told : found.slice(0, 3)).map(([name, value]) => `${name.replaceAll("_", " ")}: ${String(value)}`).join(", ");
}
