/** Every edge that was taken or refused, and why. */

import { useState } from "preact/hooks";

import type { EventView, StateView } from "../api/schema";
import { isError, isRefused, traceback, why } from "../history";
import { instant, type Zone } from "../words";

interface Props {
  readonly events: readonly EventView[];
  readonly states: readonly StateView[];
  readonly zone: Zone;
  readonly errorsOnly: boolean;
  readonly setErrorsOnly: (only: boolean) => void;
  readonly chosen: string;
}

const PAGE = 100;

export function History({ events, states, zone, errorsOnly, setErrorsOnly, chosen }: Props) {
  const filters = `${errorsOnly} ${chosen}`;
  const [unfolded, setUnfolded] = useState({ filters, shown: PAGE });
  const shown = unfolded.filters === filters ? unfolded.shown : PAGE; // another choice begins at its top
  const labels = new Map(states.map((state) => [state.state, state.label]));
  const label = (state: string) => (state === "" ? "new" : (labels.get(state) ?? state));
  const errors = events.filter(isError).length;
  const found = events
    .filter((event) => !errorsOnly || isError(event))
    .filter((event) => chosen === "" || event.source === chosen || event.dest === chosen)
    .toReversed();
  return (
    <section aria-labelledby="history">
      <div class="head">
        <h2 id="history">History</h2>
        <label class="check">
          <input type="checkbox" checked={errorsOnly} onChange={() => setErrorsOnly(!errorsOnly)} />
          Errors only ({errors})
        </label>
      </div>
      {found.length === 0 && <p class="empty">{errorsOnly ? "No errors." : "Nothing here."}</p>}
      <ol class="history">
        {found.slice(0, shown).map((event) => (
          <li key={event.seq} class={isError(event) ? "error" : ""}>
            <time dateTime={event.at}>{instant(event.at, zone)}</time>
            <span class={`trigger ${isRefused(event) ? "refused" : event.trigger}`}>{event.trigger}</span>
            <span class="way">
              {isRefused(event) ? label(event.source) : `${label(event.source)} → ${label(event.dest)}`}
              {event.attempt > 1 && <small> attempt {event.attempt}</small>}
            </span>
            <span class="why">{why(event)}</span>
            <Trace event={event} />
          </li>
        ))}
      </ol>
      {found.length > shown && (
        <button onClick={() => setUnfolded({ filters, shown: shown + PAGE })}>Show {Math.min(PAGE, found.length - shown)} more</button>
      )}
    </section>
  );
}

export function Trace({ event }: { event: EventView }) {
  const trace = traceback(event);
  if (trace === null) return null;
  return (
    <details>
      <summary>Traceback</summary>
      <pre>{trace}</pre>
    </details>
  );
}
