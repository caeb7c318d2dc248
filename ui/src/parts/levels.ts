/** What stands beside the price of a position: its purchase, its sales, and where it would be sold. */

import type { PositionView } from "../api/schema";
import type { Level, Mark } from "./Chart";

export function marksOf(position: PositionView): Mark[] {
  const entry = { name: "entry", date: position.entry_date, value: position.entry_price };
  return [entry, ...position.position_exits.map((sale) => ({ name: "exit", date: sale.exit_date, value: sale.exit_price }))];
}

export function levelsOf(position: PositionView): Level[] {
  const levels = { stop: position.stop_loss_price, target: position.take_profit_price, peak: position.peak_price ?? position.peak_premium };
  return Object.entries(levels).flatMap(([name, value]) => (value === null ? [] : [{ name, value }]));
}
