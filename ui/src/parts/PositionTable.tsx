/** Positions as a table. */

import type { PortfolioView, PositionView } from "../api/schema";
import { addressOf } from "../router";
import { change, dollars, portfolioName } from "../words";
import { Badge } from "./Badge";

export function quantity(position: PositionView): string {
  if (position.instrument_type === "stock") return `${position.shares} shares`;
  return `${position.contracts} ${position.option_type}s at ${position.strike_price}, ${position.expiration_date}`;
}

/** What is left of a position that was sold in part. */
export function rest(position: PositionView): string {
  const left = position.instrument_type === "stock" ? position.shares_remaining : position.contracts_remaining;
  const whole = position.instrument_type === "stock" ? position.shares : position.contracts;
  return position.status === "open" && left !== whole ? `, ${left} left` : "";
}

export function returnOf(position: PositionView): number | null {
  return position.status === "closed" ? position.realized_return_pct : position.unrealized_return_pct;
}

interface Props {
  readonly positions: readonly PositionView[];
  readonly portfolios?: readonly PortfolioView[];
}

export function PositionTable({ positions, portfolios = [] }: Props) {
  const names = new Map(portfolios.map((each) => [each.id, portfolioName(each)]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Positions">
      <table class="list">
        <thead>
          <tr>
            <th scope="col">Ticker</th>
            <th scope="col">Status</th>
            <th scope="col">What</th>
            <th scope="col" class="wide">
              Bought
            </th>
            <th scope="col" class="wide">
              Ended by
            </th>
            <th scope="col" class="number">
              Return
            </th>
          </tr>
        </thead>
        <tbody>
          {positions.map((position) => (
            <tr key={position.id}>
              <td>
                <a href={addressOf(["positions", position.id])}>{position.ticker}</a>
              </td>
              <td>
                <Badge word={position.status} />
              </td>
              <td>
                {quantity(position)}
                {rest(position)} <small>{names.get(position.portfolio_id)}</small>
              </td>
              <td class="wide">
                {position.entry_date} at {dollars(position.entry_price)}
              </td>
              <td class="wide">{position.exit_reason?.replaceAll("_", " ") ?? "–"}</td>
              <td class="number">
                <strong class={(returnOf(position) ?? 0) < 0 ? "loss" : "gain"}>{change(returnOf(position))}</strong>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
