/** What portfolios were worth at the last look of each day, beside SPY at the same instants. */

import type { EquityPoint, PageEquityPoint, PortfolioView } from "../api/schema";
import { useAll } from "../hooks";
import { change, count, dollars, portfolioName } from "../words";
import { Chart, type Line } from "./Chart";

interface Course {
  readonly portfolio: PortfolioView;
  readonly points: readonly EquityPoint[];
}

export function Equity({ portfolios }: { portfolios: readonly PortfolioView[] }) {
  const values = portfolios.map((each) => each.current_value).join(" ");
  const pages = useAll<PageEquityPoint>(portfolios.map((each) => `/portfolios/${each.id}/equity`), values);
  const courses = portfolios.map((portfolio, index) => ({ portfolio, points: pages[index]?.items ?? [] }));
  const [first] = courses;
  if (first === undefined || pages.includes(undefined)) return null;
  if (first.points.length < 2) return <p class="empty">The curve begins with the second day that a run looks at the portfolios.</p>;
  const isOne = courses.length === 1;
  return (
    <>
      <Chart
        title={isOne ? "Worth at the last look of each day" : "Change since the first look, at the last look of each day"}
        lines={isOne ? inDollars(first) : inShares(courses)}
        say={isOne ? dollars : change}
      />
      <p class="quiet">
        A point is what a run knew at its instant: cash, and each position at its last known price. Between two points nobody looked. {staleSaid(courses)}
      </p>
    </>
  );
}

/** One portfolio, and what the same money would have become in SPY. */
function inDollars({ portfolio, points }: Course): Line[] {
  const start = points.find((point) => point.benchmark !== null);
  const own = { name: portfolioName(portfolio), isLooks: true, points: points.map((point) => [point.day, point.value] as const) };
  return [own, benchmark("SPY, with the same money", points, start?.value ?? 0)];
}

function inShares(courses: readonly Course[]): Line[] {
  const lines = courses.map(({ portfolio, points }) => {
    const start = points[0]?.value ?? 1;
    return { name: portfolioName(portfolio), isLooks: true, points: points.map((point) => [point.day, point.value / start - 1] as const) };
  });
  const spy = benchmark("SPY", courses[0]?.points ?? [], 1);
  return [...lines, { ...spy, points: spy.points.map(([day, value]) => [day, value - 1] as const) }];
}

/** The benchmark, set to a value at its first look. */
function benchmark(name: string, points: readonly EquityPoint[], from: number): Line {
  const known = points.flatMap(({ day, benchmark: price }) => (price === null ? [] : [[day, price] as const]));
  const base = known[0]?.[1] ?? 1;
  return { name, isLooks: true, isBaseline: true, points: known.map(([day, price]) => [day, (from * price) / base] as const) };
}

function staleSaid(courses: readonly Course[]): string {
  const stale = courses.flatMap(({ points }) => points.filter(({ oldest_price_at: at, day }) => at !== null && at.slice(0, 10) < day));
  return stale.length === 0 ? "" : `${count(stale.length, "point")} rest on a price of an earlier day.`;
}
