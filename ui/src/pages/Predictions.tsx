/** What comments predicted, and what became of it as an option on paper. */

import type { PagePredictionView, PredictionView } from "../api/schema";
import { query } from "../api/client";
import { useLoaded, useTitle } from "../hooks";
import { Absent } from "../parts/Absent";
import { Badge } from "../parts/Badge";
import { addressOf, filter, type Place } from "../router";
import { change, dollars } from "../words";

const POLL_MS = 10_000;
const STATUSES = ["", "tracking", "resolved", "unpriced"];

export function Predictions({ place }: { place: Place }) {
  const { ticker = "", status = "", before = "" } = place.filters;
  useTitle("Predictions");
  const found = useLoaded<PagePredictionView>(`/predictions${query({ ticker, status, cursor: before, limit: 50 })}`, POLL_MS);
  const next = found.value?.next_cursor;
  return (
    <main>
      <h1>Predictions</h1>
      <p class="quiet">Each comment that takes a side, followed as an option that nobody bought.</p>
      <div class="head">
        <label class="check">
          Ticker
          <input value={ticker} maxLength={10} size={8} onInput={(event) => filter(place, { ticker: event.currentTarget.value, before: "" })} />
        </label>
        <div class="tabs" role="group" aria-label="Which predictions">
          {STATUSES.map((each) => (
            <button key={each} aria-pressed={status === each} onClick={() => filter(place, { status: each, before: "" })}>
              {each === "" ? "all" : each}
            </button>
          ))}
        </div>
      </div>
      <Absent what="predictions" error={found.error} />
      {found.value !== null && <Table items={found.value.items} />}
      <nav class="pages" aria-label="More predictions">
        {before !== "" && <a href={addressOf(["predictions"], { ticker, status })}>Newest</a>}
        {next != null && <a href={addressOf(["predictions"], { ticker, status, before: String(next) })}>Older</a>}
      </nav>
    </main>
  );
}

function Table({ items }: { items: readonly PredictionView[] }) {
  if (items.length === 0) return <p class="empty">No prediction here.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Predictions">
      <table class="list">
        <thead>
          <tr>
            <th scope="col">Ticker</th>
            <th scope="col" class="wide">
              Side
            </th>
            <th scope="col">Option</th>
            <th scope="col" class="wide">
              Session
            </th>
            <th scope="col" class="number wide">
              Premium
            </th>
            <th scope="col">Status</th>
            <th scope="col" class="number">
              Return
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((each) => (
            <tr key={each.id}>
              <td>{each.ticker}</td>
              <td class="wide">
                <Badge word={each.sentiment} />
              </td>
              <td>{each.strike_price === null ? `a ${each.option_type}, none was offered` : `${each.option_type} ${each.strike_price} of ${each.expiration_date}`}</td>
              <td class="wide">{each.entry_date}</td>
              <td class="number wide">
                {each.entry_premium === null ? "–" : `${dollars(each.entry_premium)} → ${dollars(each.current_premium)}`}
              </td>
              <td>
                {each.status}
                {each.is_correct !== null && `, ${each.is_correct ? "right" : "wrong"}`}
              </td>
              <td class="number">
                <span class={(each.simulated_return_pct ?? 0) < 0 ? "loss" : "gain"}>{change(each.simulated_return_pct)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
