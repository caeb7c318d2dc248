/** One run: where it is, how long it takes, why it moved, what it found, and what may be done with it. */

import { useMemo, useState } from "preact/hooks";

import type { Connection } from "../api/follow";
import { post } from "../api/client";
import type { EventView, MachineView, RunStatus, RunView } from "../api/schema";
import { attemptsOf, moves, standingAfter } from "../history";
import { useLoaded, useMachine, useNow, useRun } from "../hooks";
import { Badge } from "../parts/Badge";
import { History } from "../parts/History";
import { Machine } from "../parts/Machine";
import { Notice, Problem } from "../parts/Notice";
import { Progress } from "../parts/Progress";
import { Scrubber } from "../parts/Scrubber";
import { Timeline } from "../parts/Timeline";
import { filter, type Place } from "../router";
import { instant, type Zone } from "../words";

const SAID: Readonly<Record<Connection, string>> = {
  connecting: "connecting…",
  live: "live",
  polling: "polling every two seconds",
  lost: "the server does not answer; trying again…",
  ended: "ended",
};

export function Run({ id, place, zone }: { id: number; place: Place; zone: Zone }) {
  const [round, setRound] = useState(0);
  const machine = useMachine();
  const run = useRun(id, round);
  const { phase = "", errors = "", at = "" } = place.filters;
  const status = run.status;
  const now = useNow(status?.status === "running");
  const moved = useMemo(() => moves(run.events), [run.events]);
  const shown = at === "" ? moved.length : Math.min(Number(at), moved.length);
  const past = useMemo(() => upTo(run.events, moved[shown]), [run.events, moved, shown]);
  const attempts = useMemo(() => attemptsOf(past), [past]);
  const choose = (state: string) => filter(place, { phase: state });
  return (
    <main>
      <div class="head">
        <h1>Run {id}</h1>
        {status !== null && <Badge word={status.status} />}
        <span class={`connection ${run.connection}`} role="status">
          {SAID[run.connection]}
        </span>
        {status !== null && <Steering id={id} status={status} after={() => setRound(round + 1)} />}
      </div>
      <Problem error={run.error} />
      {status !== null && <Outcome status={status} zone={zone} />}
      {status !== null && machine !== null && (
        <>
          <Progress status={status} now={now} events={run.events} />
          <Scrubber moves={moved} shown={shown} zone={zone} show={(count) => filter(place, { at: count === moved.length ? "" : String(count) })} />
          <Machine
            machine={machine}
            standing={standingAfter(past, machine.states)}
            attempts={countOf(attempts.map((attempt) => attempt.state))}
            chosen={phase}
            choose={choose}
          />
          <section aria-labelledby="timeline">
            <h2 id="timeline">Time</h2>
            <Timeline attempts={attempts} states={machine.states} now={shown < moved.length ? lastOf(past) : now} chosen={phase} choose={choose} />
          </section>
          <Warnings status={status} zone={zone} />
          <History
            events={past}
            states={machine.states}
            zone={zone}
            errorsOnly={errors === "1"}
            setErrorsOnly={(only) => filter(place, { errors: only ? "1" : "" })}
            chosen={phase}
          />
          <Details id={id} status={status} machine={machine} />
        </>
      )}
    </main>
  );
}

function upTo(events: readonly EventView[], next: EventView | undefined): readonly EventView[] {
  return next === undefined ? events : events.filter((event) => event.seq < next.seq);
}

function lastOf(events: readonly EventView[]): number {
  return Date.parse(events.at(-1)?.at ?? new Date().toISOString());
}

function countOf(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** Cancel and resume; between the click and the deed it says what it waits for. */
function Steering({ id, status, after }: { id: number; status: RunStatus; after: () => void }) {
  const [error, setError] = useState<Error | null>(null);
  const [asked, setAsked] = useState(false);
  async function ask(what: "cancel" | "resume") {
    setAsked(true);
    setError(null);
    try {
      await post(`/runs/${id}/${what}`);
      if (what === "resume") after();
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setAsked(false);
    }
  }
  return (
    <div class="steering">
      {status.status === "running" && (
        <button class="danger" disabled={asked || status.cancelling} onClick={() => void ask("cancel")}>
          {status.cancelling ? "Cancelling at the next check point…" : "Cancel"}
        </button>
      )}
      {status.status === "failed" && (
        <button class="primary" disabled={asked} onClick={() => void ask("resume")}>
          Resume in “{status.phase_label}”
        </button>
      )}
      <Problem error={error} />
    </div>
  );
}

function Outcome({ status, zone }: { status: RunStatus; zone: Zone }) {
  if (status.error_message !== null) {
    return (
      <Notice kind="error">
        <strong>{status.error_code}</strong> in “{status.phase_label}”: {status.error_message}
      </Notice>
    );
  }
  return status.completed_at === null ? null : (
    <p class="quiet">
      Completed <time dateTime={status.completed_at}>{instant(status.completed_at, zone)}</time>.
    </p>
  );
}

function Warnings({ status, zone }: { status: RunStatus; zone: Zone }) {
  const warnings = status.warnings ?? [];
  if (warnings.length === 0) return null;
  return (
    <section aria-labelledby="warnings">
      <h2 id="warnings">Warnings ({warnings.length})</h2>
      <ul class="warnings">
        {warnings.map((warning, index) => (
          <li key={index}>
            <code>{String(warning["type"])}</code> {String(warning["message"])}{" "}
            {typeof warning["timestamp"] === "string" && <small>{instant(warning["timestamp"], zone)}</small>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Details({ id, status, machine }: { id: number; status: RunStatus; machine: MachineView }) {
  const run = useLoaded<RunView>(`/runs/${id}`, undefined, status.updated_at).value;
  return (
    <section aria-labelledby="details">
      <h2 id="details">Results and parameters</h2>
      {run !== null && run.registry !== machine.registry && (
        <Notice kind="warning">This run was started with other phases than this server runs.</Notice>
      )}
      <div class="columns">
        <Facts title="Results" facts={status.results} />
        <Facts title="Parameters" facts={run?.params ?? {}} />
      </div>
    </section>
  );
}

function Facts({ title, facts }: { title: string; facts: Record<string, unknown> }) {
  return (
    <div>
      <h3>{title}</h3>
      <dl>
        {Object.entries(facts).map(([name, value]) => (
          <div key={name}>
            <dt>{name.replaceAll("_", " ")}</dt>
            <dd>{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
