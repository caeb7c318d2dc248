/** The life of one position: entry, peak, stop and exits on the price. */

import type { PagePricePoint, PositionView } from "../api/schema";
import { useLoaded, useTitle } from "../hooks";
import { Badge } from "../parts/Badge";
import { Fact } from "../parts/Fact";
import { Chart } from "../parts/Chart";
import { Close } from "../parts/Close";
import { levelsOf, marksOf } from "../parts/levels";
import { Problem } from "../parts/Notice";
import { OptionCharts, OptionFacts } from "../parts/OptionCharts";
import { quantity, rest, returnOf } from "../parts/PositionTable";
import { addressOf } from "../router";
import { change, dollars, instant, percent, type Zone } from "../words";

const DAYS = 60;

export function Position({ id, zone }: { id: number; zone: Zone }) {
  const found = useLoaded<PositionView>(`/positions/${id}`);
  const position = found.value;
  useTitle(position === null ? `Position ${id}` : `${position.ticker}, ${position.status}`);
  const isOption = position?.instrument_type === "option";
  const prices = useLoaded<PagePricePoint>(position === null || isOption ? null : `/prices/${encodeURIComponent(position.ticker)}?days=${DAYS}`);
  return (
    <main>
      <p>
        <a href={addressOf(["positions"])}>All positions</a>
      </p>
      <Problem error={found.error} />
      {position !== null && (
        <>
          <div class="head">
            <h1>{position.ticker}</h1>
            <Badge word={position.status} />
            <strong class={(returnOf(position) ?? 0) < 0 ? "loss" : "gain"}>{change(returnOf(position))}</strong>
          </div>
          <p>
            {quantity(position)}
            {rest(position)}, bought <time dateTime={position.entered_at}>{instant(position.entered_at, zone)}</time> at {dollars(position.entry_price)} on{" "}
            <a href={addressOf(["signals", position.signal_id])}>this signal</a>. <small>Price: {position.entry_basis}.</small>
          </p>
          <dl class="facts">
            {isOption && <OptionFacts position={position} />}
            <Fact name={isOption ? "Last premium" : "Last price"} value={dollars(position.current_price)} />
            <Fact name="Peak" value={dollars(position.peak_price ?? position.peak_premium)} />
            <Fact name="Days held" value={String(position.hold_days)} />
            {position.nearest_exit_distance_pct !== null && <Fact name="To the nearest exit" value={percent(position.nearest_exit_distance_pct, 1)} />}
            {position.dte !== null && position.status === "open" && <Fact name="Days to expiry" value={String(position.dte)} />}
          </dl>
          {isOption && <OptionCharts position={position} />}
          {!isOption && prices.value?.items.length === 0 && (
            <p class="empty">No daily price has been stored for it yet; the next run that monitors it stores them.</p>
          )}
          {!isOption && (prices.value?.items.length ?? 0) > 0 && (
            <Chart
              title={`${position.ticker}, daily closes`}
              lines={[{ name: position.ticker, points: (prices.value?.items ?? []).map((price) => [price.date, price.close] as const) }]}
              marks={marksOf(position)}
              levels={levelsOf(position)}
              say={dollars}
            />
          )}
          <Sales position={position} zone={zone} />
          <Close position={position} zone={zone} after={found.again} />
        </>
      )}
    </main>
  );
}

function Sales({ position, zone }: { position: PositionView; zone: Zone }) {
  if (position.position_exits.length === 0) return <p class="empty">Nothing of it has been sold.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Sales">
      <table class="list">
        <caption class="hidden">Sales</caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Why</th>
            <th scope="col" class="number">Price</th>
            <th scope="col" class="number">Gain</th>
          </tr>
        </thead>
        <tbody>
          {position.position_exits.map((sale) => (
            <tr key={sale.id}>
              <td>
                <time dateTime={sale.exited_at}>{instant(sale.exited_at, zone)}</time>
              </td>
              <td>
                {sale.exit_reason.replaceAll("_", " ")} {sale.note !== null && <small>{sale.note}</small>}
              </td>
              <td class="number">{dollars(sale.exit_price)}</td>
              <td class="number">{dollars(sale.realized_pnl)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
