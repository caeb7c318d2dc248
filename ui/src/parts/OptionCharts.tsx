/** An option position: its premium where runs saw it, and the share against the strike. */

import type { PagePremiumPoint, PositionView, PremiumPoint } from "../api/schema";
import { useLoaded } from "../hooks";
import { count, dollars } from "../words";
import { Chart, type Day, type Mark } from "./Chart";
import { Fact } from "./Fact";
import { levelsOf, marksOf } from "./levels";
import { Problem } from "./Notice";

export function OptionFacts({ position }: { position: PositionView }) {
  return (
    <>
      <Fact name="Strike" value={dollars(position.strike_price)} />
      <Fact name="Expires" value={position.expiration_date ?? "–"} />
      <Fact name="Premium paid, a share" value={dollars(position.premium_paid)} />
      <Fact name="Share when bought" value={dollars(position.underlying_price_at_entry)} />
    </>
  );
}

export function OptionCharts({ position }: { position: PositionView }) {
  const seen = useLoaded<PagePremiumPoint>(`/positions/${position.id}/premiums`);
  if (seen.value === null) return <Problem error={seen.error} />;
  const points = seen.value.items;
  const days: Day[] = position.expiration_date === null ? [] : [{ name: "expires", date: position.expiration_date }];
  return (
    <>
      {points.length > 0 && (
        <Chart
          title={`Premium of ${position.contract_symbol ?? "the contract"}, for one share`}
          lines={[{ name: "premium", isLooks: true, points: byDay(points, (point) => point.premium) }]}
          marks={marksOf(position)}
          levels={levelsOf(position)}
          days={days}
          say={dollars}
        />
      )}
      <Share position={position} points={points} days={days} />
      <p class="quiet">{unknown(position, points)}</p>
    </>
  );
}

/** The share is worth the premium at expiry only beyond the strike, and has to go further by what was paid. */
function Share({ position, points, days }: { position: PositionView; points: readonly PremiumPoint[]; days: readonly Day[] }) {
  const { strike_price: strike, premium_paid: paid, underlying_price_at_entry: bought } = position;
  const prices = byDay(points, (point) => point.underlying_price);
  if (strike === null || prices.length === 0) return null;
  const marks: Mark[] = bought === null ? [] : [{ name: "entry", date: position.entry_date, value: bought }];
  const side = position.option_type === "put" ? -1 : 1;
  const even = paid === null ? [] : [{ name: "even at expiry", value: strike + side * paid }];
  return (
    <Chart
      title={`${position.ticker} against the strike`}
      lines={[{ name: position.ticker, isLooks: true, points: prices }]}
      marks={marks}
      levels={[{ name: "strike", value: strike }, ...even]}
      days={days}
      say={dollars}
    />
  );
}

/** The last of each day that is known; the exchange is open on one day of UTC. */
function byDay(points: readonly PremiumPoint[], of: (point: PremiumPoint) => number | null): [string, number][] {
  const known = points.flatMap((point) => {
    const value = of(point);
    return value === null ? [] : [[point.at.slice(0, 10), value] as [string, number]];
  });
  return [...new Map(known)];
}

function unknown(position: PositionView, points: readonly PremiumPoint[]): string {
  const kept = "Between two looks the premium isn't known, nor is what bid and ask were.";
  if (points.length === 0) return `No run has seen its premium since it was bought at ${dollars(position.entry_price)}. ${kept}`;
  return `Runs have seen its premium ${count(points.length, "time")}. ${kept}`;
}
