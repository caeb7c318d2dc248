/** Goes back and forth in a run's history; the diagram, the bars and the list follow. */

import type { EventView } from "../api/schema";
import { instant, type Zone } from "../words";

interface Props {
  readonly moves: readonly EventView[];
  readonly shown: number;
  readonly zone: Zone;
  readonly show: (count: number) => void;
}

export function Scrubber({ moves, shown, zone, show }: Props) {
  if (moves.length < 2) return null;
  const last = moves[shown - 1];
  const said = shown === moves.length ? "now" : last === undefined ? "" : instant(last.at, zone);
  return (
    <label class="scrubber">
      <span>
        {shown === moves.length ? "Now" : "Back then"}, after step {shown} of {moves.length} <span class="quiet">({last?.trigger}{shown < moves.length && `, ${said}`})</span>
      </span>
      <input
        type="range"
        min={1}
        max={moves.length}
        value={shown}
        aria-valuetext={`${last?.trigger ?? ""}, ${said}`}
        onInput={(event) => show(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}
