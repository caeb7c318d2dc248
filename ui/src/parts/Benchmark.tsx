/** How the portfolios stand against SPY, by their evaluation periods of thirty days. */

import type { EvaluationPage, EvaluationView, PortfolioView } from "../api/schema";
import { useAll } from "../hooks";
import { change, percent, portfolioName } from "../words";
import { Chart, type Line } from "./Chart";

interface Row {
  readonly portfolio: PortfolioView;
  readonly period: EvaluationView;
}

export function Benchmark({ portfolios }: { portfolios: readonly PortfolioView[] }) {
  const pages = useAll<EvaluationPage>(portfolios.map((each) => `/evaluation-periods?portfolio_id=${each.id}`));
  const rows = portfolios.flatMap((portfolio, index) => (pages[index]?.items ?? []).map((period) => ({ portfolio, period })));
  const [only] = portfolios;
  const periods = rows.map((row) => row.period).toReversed();
  return (
    <section aria-labelledby="benchmark">
      <h2 id="benchmark">Against the benchmark</h2>
      {rows.length === 0 ? (
        <p class="empty">Not yet: the first period opens with the first run.</p>
      ) : (
        <>
          {portfolios.length === 1 && only !== undefined && <Equity name={portfolioName(only)} periods={periods} />}
          <Table rows={rows} />
        </>
      )}
      <Graduation page={pages.find((page) => page !== undefined)} />
    </section>
  );
}

/** What one dollar became in the portfolio and in SPY, from the start of the first period to the last look. */
function Equity({ name, periods }: { name: string; periods: readonly EvaluationView[] }) {
  const lines: readonly Line[] = [
    { name, points: grown(periods, (period) => period.portfolio_return_pct) },
    { name: "SPY", points: grown(periods, (period) => period.sp500_return_pct) },
  ];
  if (lines.some((line) => line.points.length < 2)) return <p class="empty">Not yet: nobody has looked at both inside a period.</p>;
  return <Chart title="What one dollar became, by period" lines={lines} say={(value) => value.toFixed(3)} />;
}

function grown(periods: readonly EvaluationView[], returnOf: (period: EvaluationView) => number | null): Line["points"] {
  const [first] = periods;
  if (first === undefined) return [];
  let value = 1;
  const ends = periods.flatMap((period) => {
    const share = returnOf(period);
    if (share === null) return [];
    value *= 1 + share;
    return [[period.last_valued_at.slice(0, 10), value] as const];
  });
  return [[first.period_start, 1], ...ends];
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
