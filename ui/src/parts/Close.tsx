/** Sells a position by hand, at its stored price; the server says where that can't be done. */

import { useState } from "preact/hooks";

import { post } from "../api/client";
import type { ClosedView, PositionView } from "../api/schema";
import { dollars, instant, type Zone } from "../words";
import { Notice, Problem } from "./Notice";

const PARTS = { all: 1, half: 0.5 } as const;

interface Props {
  readonly position: PositionView;
  readonly zone: Zone;
  readonly after: () => void;
}

export function Close({ position, zone, after }: Props) {
  const [reason, setReason] = useState("");
  const [part, setPart] = useState<keyof typeof PARTS>("all");
  const [error, setError] = useState<Error | null>(null);
  const [sold, setSold] = useState<ClosedView | null>(null);
  const [waiting, setWaiting] = useState(false);

  async function sell(event: Event) {
    event.preventDefault();
    setWaiting(true);
    setError(null);
    try {
      setSold(await post<ClosedView>(`/positions/${position.id}/close`, { reason, quantity_pct: PARTS[part] }));
      after();
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setWaiting(false);
    }
  }

  if (position.status === "closed" && sold === null) return null;
  return (
    <section aria-labelledby="close">
      <h2 id="close">Sell it by hand</h2>
      {position.status === "open" && (
        <form class="form row" onSubmit={(event) => void sell(event)}>
          <label>
            Reason, kept with the sale
            <input class="long" required maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
          <label>
            How much of what is left
            <select value={part} onChange={(event) => setPart(event.currentTarget.value as keyof typeof PARTS)}>
              {Object.keys(PARTS).map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <button class="danger" disabled={waiting}>
            {waiting ? "Selling…" : "Sell"}
          </button>
        </form>
      )}
      {sold !== null && (
        <Notice kind="info">
          Sold at {dollars(sold.exit.exit_price)}, the price of {instant(sold.price_at, zone)}.
        </Notice>
      )}
      <Problem error={error} />
    </section>
  );
}
