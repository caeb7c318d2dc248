/** One run: where it is, how long it takes, why it moved, what it found, and what may be done with it. */

import { useMemo, useState } from "preact/hooks";

import type { Connection } from "../api/follow";
import { post } from "../api/client";
import type { EventView, RunStatus, RunView } from "../api/schema";
import { attemptsOf, moves, standingAfter, statesOf } from "../history";
import { useLoaded, useMachine, useNow, useRun, useTitle } from "../hooks";
import { Badge } from "../parts/Badge";
import { History, Trace } from "../parts/History";
import { Machine } from "../parts/Machine";
import { Notice, Problem } from "../parts/Notice";
import { Progress } from "../parts/Progress";
import { Scrubber } from "../parts/Scrubber";
import { Timeline } from "../parts/Timeline";
import { addressOf, filter, type Place } from "../router";
import { instant, type Zone } from "../words";

const SAID: Readonly<Record<Connection, string>> = {
  connecting: "connecting…",
  live: "live",
  polling: "no live stream gets through; asking every two seconds",
  shared: "other tabs hold the live streams; asking every two seconds",
  lost: "the server does not answer; trying again…",
  ended: "ended",
};

export function Run({ id, place, zone }: { id: number; place: Place; zone: Zone }) {
  const [round, setRound] = useState(0);
  const machine = useMachine();
  const run = useRun(id, round);
  const { phase = "", errors = "", at = "" } = place.filters;
  const status = run.status;
  useTitle(status === null ? `Run ${id}` : `Run ${id} ${status.status}`);
  const now = useNow(status?.status === "running");
  const moved = useMemo(() => moves(run.events), [run.events]);
  const shown = at === "" ? moved.length : Math.min(Number(at), moved.length);
  const past = useMemo(() => upTo(run.events, moved[shown]), [run.events, moved, shown]);
  const attempts = useMemo(() => attemptsOf(past), [past]);
  const whole = useLoaded<RunView>(status === null ? null : `/runs/${id}`, undefined, status?.state).value;
  const isForeign = whole !== null && machine !== null && whole.registry !== machine.registry;
  const states = useMemo(() => (isForeign ? statesOf(run.events) : (machine?.states ?? [])), [isForeign, run.events, machine]);
  const choose = (state: string) => filter(place, { phase: state });
  return (
    <main>
      <div class="head">
        <h1>Run {id}</h1>
        {status !== null && <Badge word={status.status} />}
        {run.error === null && (
          <span class={`connection ${run.connection}`} role="status">
            {SAID[run.connection]}
          </span>
        )}
        {status !== null && <Steering id={id} status={status} after={() => setRound(round + 1)} />}
      </div>
      <Problem error={run.error} />
      {run.error !== null && (
        <p>
          <a href={addressOf([])}>All runs</a>
        </p>
      )}
      {status !== null && <Spoken status={status} />}
      {status !== null && <Outcome status={status} events={run.events} />}
      {isForeign && (
        <Notice kind="warning">
          This run was started with other phases than this server runs: it can be read here, but only a server with its phases can go on with it.
        </Notice>
      )}
      {status !== null && machine !== null && (
        <>
          <Progress status={status} now={now} events={run.events} zone={zone} />
          {!isForeign && (
            <section aria-labelledby="machine">
              <div class="head">
                <h2 id="machine">Where it is</h2>
                <Scrubber moves={moved} shown={shown} zone={zone} show={(count) => filter(place, { at: count === moved.length ? "" : String(count) })} />
              </div>
              <Machine
                machine={machine}
                standing={standingAfter(past, machine.states)}
                attempts={countOf(attempts.map((attempt) => attempt.state))}
                chosen={phase}
                choose={choose}
              />
            </section>
          )}
          <section aria-labelledby="timeline">
            <h2 id="timeline">Time</h2>
            <Timeline attempts={attempts} states={states} now={shown < moved.length ? lastOf(past) : now} chosen={phase} choose={choose} />
          </section>
          <Warnings status={status} zone={zone} />
          <History
            events={past}
            states={states}
            zone={zone}
            errorsOnly={errors === "1"}
            setErrorsOnly={(only) => filter(place, { errors: only ? "1" : "" })}
            chosen={phase}
          />
          <Details results={status.results} params={whole?.params ?? {}} />
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

/** Says a change of state to a screen reader: once each, and no counting steps. */
function Spoken({ status }: { status: RunStatus }) {
  return (
    <p class="hidden" role="status">
      {status.status === "running" ? `Now ${status.phase_label}` : `The run has ${status.status}`}
    </p>
  );
}

function Outcome({ status, events }: { status: RunStatus; events: readonly EventView[] }) {
  if (status.error_message === null) return null;
  const isWanted = status.error_code === "cancelled";
  const last = events.findLast((event) => event.dest === "failed");
  return (
    <div class={`notice ${isWanted ? "info" : "error"}`} role={isWanted ? "status" : "alert"}>
      <strong>{status.error_code?.replaceAll("_", " ")}</strong> in “{status.phase_label}”: {status.error_message}
      {last !== undefined && <Trace event={last} />}
    </div>
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

function Details({ results, params }: Pick<RunView, "results" | "params">) {
  return (
    <section aria-labelledby="details">
      <h2 id="details">Results and parameters</h2>
      <div class="columns">
        <Facts title="Results" facts={results} />
        <Facts title="Parameters" facts={params} />
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
            <dd>{said(value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function said(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const parts = Object.entries(value).map(([name, part]) => `${name.replaceAll("_", " ")} ${typeof part === "object" ? JSON.stringify(part) : String(part)}`);
  return parts.join(", ") || "none";
}
