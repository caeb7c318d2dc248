/** The paper portfolios, how they stand against the benchmark, and their positions. */

import type { PagePortfolioView, PagePositionView, PortfolioView } from "../api/schema";
import { query } from "../api/client";
import { useLoaded, useTitle } from "../hooks";
import { Absent, isAbsent } from "../parts/Absent";
import { Benchmark } from "../parts/Benchmark";
import { PositionTable } from "../parts/PositionTable";
import { filter, type Place } from "../router";
import { change, dollars, portfolioName } from "../words";

const POLL_MS = 10_000;
const STATUSES = ["", "open", "closed"];

export function Positions({ place }: { place: Place }) {
  const { portfolio = "", status = "" } = place.filters;
  useTitle("Portfolios");
  const portfolios = useLoaded<PagePortfolioView>("/portfolios", POLL_MS);
  const positions = useLoaded<PagePositionView>(`/positions${query({ portfolio_id: portfolio, status, limit: 200 })}`, POLL_MS);
  const all = portfolios.value?.items ?? [];
  const items = positions.value?.items ?? [];
  const error = portfolios.error ?? positions.error;
  return (
    <main>
      <h1>Paper portfolios</h1>
      <Absent what="portfolios" error={error} />
      <ul class="cards">
        {all.map((each) => (
          <li key={each.id}>
            <Card portfolio={each} isChosen={portfolio === String(each.id)} choose={(id) => filter(place, { portfolio: id })} />
          </li>
        ))}
      </ul>
      {!isAbsent(error) && (
        <>
          <Benchmark portfolios={all.filter((each) => portfolio === "" || portfolio === String(each.id))} />
          <div class="head">
            <h2>Positions</h2>
            <div class="tabs" role="group" aria-label="Which positions">
              {STATUSES.map((each) => (
                <button key={each} aria-pressed={status === each} onClick={() => filter(place, { status: each })}>
                  {each === "" ? "all" : each}
                </button>
              ))}
            </div>
          </div>
        </>
      )}
      {positions.value !== null && items.length === 0 && <p class="empty">No position. Signals of a day are traded while the exchange is open.</p>}
      {items.length > 0 && <PositionTable positions={items} portfolios={all} />}
    </main>
  );
}

interface CardProps {
  readonly portfolio: PortfolioView;
  readonly isChosen: boolean;
  readonly choose: (id: string) => void;
}

function Card({ portfolio, isChosen, choose }: CardProps) {
  return (
    <button class="card" aria-pressed={isChosen} onClick={() => choose(isChosen ? "" : String(portfolio.id))}>
      <strong>{portfolioName(portfolio)}</strong>
      <span class="big">{dollars(portfolio.current_value)}</span>
      <span class={portfolio.total_pnl < 0 ? "loss" : "gain"}>{change(portfolio.total_pnl_pct)}</span>
      <span class="quiet">
        {dollars(portfolio.cash_available)} in cash, {portfolio.open_position_count} open
      </span>
    </button>
  );
}
