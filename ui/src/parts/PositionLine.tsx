/** A position in one line. */

import type { PositionView } from "../api/schema";
import { addressOf } from "../router";
import { change, dollars } from "../words";
import { Badge } from "./Badge";

export function quantity(position: PositionView): string {
  if (position.instrument_type === "stock") return `${position.shares_remaining} of ${position.shares} shares`;
  const contract = `${position.option_type} ${position.strike_price} ${position.expiration_date}`;
  return `${position.contracts_remaining} of ${position.contracts} contracts, ${contract}`;
}

export function returnOf(position: PositionView): number | null {
  return position.status === "closed" ? position.realized_return_pct : position.unrealized_return_pct;
}

export function PositionLine({ position }: { position: PositionView }) {
  const gain = returnOf(position);
  return (
    <p class="line">
      <Badge word={position.status} /> <a href={addressOf(["positions", position.id])}>{position.ticker}</a>{" "}
      {quantity(position)}, bought {position.entry_date} at {dollars(position.entry_price)}
      {position.exit_reason !== null && `, ended by ${position.exit_reason.replaceAll("_", " ")}`}{" "}
      <strong class={(gain ?? 0) < 0 ? "loss" : "gain"}>{change(gain)}</strong>
    </p>
  );
}
