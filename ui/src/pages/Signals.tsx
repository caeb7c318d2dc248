/** What the pipeline found: a card for each signal. */

import type { ConfidencePoint, PageSignalView, SignalView } from "../api/schema";
import { query } from "../api/client";
import { useLoaded, useTitle } from "../hooks";
import { Badge } from "../parts/Badge";
import { Absent } from "../parts/Absent";
import { Sparkline } from "../parts/Sparkline";
import { addressOf, filter, type Place } from "../router";
import { count, percent } from "../words";

const TYPES = ["", "quality", "consensus"];
const POLL_MS = 10_000;

type History = Record<string, ConfidencePoint[]>;

export function Signals({ place }: { place: Place }) {
  const { ticker = "", type = "", from = "", to = "", before = "" } = place.filters;
  useTitle("Signals");
  const asked = { ticker, signal_type: type, date_from: from, date_to: to, cursor: before, limit: 48 };
  const signals = useLoaded<PageSignalView>(`/signals${query(asked)}`, POLL_MS);
  const quality = useLoaded<History>("/signals/history?signal_type=quality&days=30").value ?? {};
  const consensus = useLoaded<History>("/signals/history?signal_type=consensus&days=30").value ?? {};
  const items = signals.value?.items ?? [];
  return (
    <main>
      <h1>Signals</h1>
      <form class="form row" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          Ticker
          <input value={ticker} maxLength={10} onInput={(event) => filter(place, { ticker: event.currentTarget.value, before: "" })} />
        </label>
        <label>
          Kind
          <select value={type} onChange={(event) => filter(place, { type: event.currentTarget.value, before: "" })}>
            {TYPES.map((each) => (
              <option key={each} value={each}>
                {each === "" ? "both" : each}
              </option>
            ))}
          </select>
        </label>
        <label>
          From
          <input type="date" value={from} onInput={(event) => filter(place, { from: event.currentTarget.value, before: "" })} />
        </label>
        <label>
          To
          <input type="date" value={to} onInput={(event) => filter(place, { to: event.currentTarget.value, before: "" })} />
        </label>
      </form>
      <Absent what="signals" error={signals.error} />
      {signals.value !== null && items.length === 0 && (
        <p class="empty">No signal here. A run makes them where several people argue, or many lean, the same way.</p>
      )}
      <ul class="cards">
        {items.map((signal) => (
          <li key={signal.id}>
            <Card signal={signal} history={(signal.signal_type === "quality" ? quality : consensus)[signal.ticker] ?? []} />
          </li>
        ))}
      </ul>
      {signals.value?.next_cursor != null && (
        <a href={addressOf(["signals"], { ...place.filters, before: String(signals.value.next_cursor) })}>Older</a>
      )}
    </main>
  );
}

function Card({ signal, history }: { signal: SignalView; history: readonly ConfidencePoint[] }) {
  return (
    <a class={`card ${signal.prediction}`} href={addressOf(["signals", signal.id])}>
      <span class="head">
        <strong class="ticker">{signal.ticker}</strong>
        <Badge word={signal.prediction} />
        {signal.is_emergence === true && <span class="badge">new</span>}
      </span>
      <span class="quiet">
        {signal.signal_type}, {signal.signal_date}
      </span>
      <span class="confidence">
        <meter min={0} max={1} value={signal.confidence} aria-label="Confidence" /> {percent(signal.confidence)}
        <Sparkline points={history} />
      </span>
      <span>
        {count(signal.distinct_users, "person").replace("persons", "people")}, {count(signal.comment_count, "comment")}
      </span>
    </a>
  );
}
