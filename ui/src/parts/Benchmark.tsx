/** How the portfolios stand against SPY: day by day, and by their evaluation periods of thirty days. */

import type { EvaluationPage, EvaluationView, PortfolioView } from "../api/schema";
import { useAll } from "../hooks";
import { change, percent, portfolioName } from "../words";
import { Equity } from "./Equity";

interface Row {
  readonly portfolio: PortfolioView;
  readonly period: EvaluationView;
}

export function Benchmark({ portfolios }: { portfolios: readonly PortfolioView[] }) {
  const pages = useAll<EvaluationPage>(portfolios.map((each) => `/evaluation-periods?portfolio_id=${each.id}`));
  const rows = portfolios.flatMap((portfolio, index) => (pages[index]?.items ?? []).map((period) => ({ portfolio, period })));
  return (
    <section aria-labelledby="benchmark">
      <h2 id="benchmark">Against the benchmark</h2>
      <Equity portfolios={portfolios} />
      {rows.length === 0 ? <p class="empty">No period yet: the first one opens with the first run.</p> : <Table rows={rows} />}
      <Graduation page={pages.find((page) => page !== undefined)} />
    </section>
  );
}

function Table({ rows }: { rows: readonly Row[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Evaluation periods">
      <table class="list">
        <thead>
          <tr>
            <th scope="col">Portfolio</th>
            <th scope="col">Thirty days from</th>
            <th scope="col" class="number">
              Return
            </th>
            <th scope="col" class="number">
              SPY
            </th>
            <th scope="col" class="number">
              Difference
            </th>
            <th scope="col" class="number">
              Closed
            </th>
            <th scope="col" class="number">
              Gained
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ portfolio, period }) => (
            <tr key={period.id}>
              <th scope="row">{portfolioName(portfolio)}</th>
              <td>
                {period.period_start} <small>{period.status}</small>
              </td>
              <td class="number">{period.portfolio_return_pct === null ? "not yet" : change(period.portfolio_return_pct)}</td>
              <td class="number">{period.sp500_return_pct === null ? "not yet" : change(period.sp500_return_pct)}</td>
              <td class={`number ${(period.relative_performance ?? 0) < 0 ? "loss" : "gain"}`}>{change(period.relative_performance)}</td>
              <td class="number">{period.total_positions_closed}</td>
              <td class="number">{percent(period.signal_accuracy_pct)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Graduation({ page }: { page: EvaluationPage | undefined }) {
  if (page === undefined) return null;
  const { graduated, signal_type, reasons } = page.graduation;
  return (
    <p class="quiet">
      {graduated ? `The ${signal_type} signals have graduated on paper.` : `No kind of signal has graduated on paper yet: ${reasons.join("; ")}.`}
    </p>
  );
}
