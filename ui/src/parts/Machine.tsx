/** The state machine, laid out in the browser and lit where the run is. */

import type { MachineView, StateView } from "../api/schema";
import { edgeKey, type Standing, TERMINAL } from "../history";

const BOX = { width: 132, height: 64, gap: 36 };
const FAILED = { top: 128, height: 40 };
const MARGIN = 12;

interface Props {
  readonly machine: MachineView;
  readonly standing: Standing;
  readonly attempts: ReadonlyMap<string, number>;
  readonly chosen: string;
  readonly choose: (state: string) => void;
}

type Look = "now" | "done" | "failed" | "completed" | "ahead";

function lookOf(state: string, standing: Standing): Look {
  if (state === standing.state) return state === "failed" || state === "completed" ? state : "now";
  if (state === standing.failedIn) return "failed";
  if (state === "failed") return "ahead";
  return standing.done.has(state) || standing.state === "completed" ? "done" : "ahead";
}

const SAID: Readonly<Record<Look, string>> = {
  now: "the run is here",
  done: "done",
  failed: "failed here",
  completed: "reached",
  ahead: "not reached",
};

export function Machine({ machine, standing, attempts, chosen, choose }: Props) {
  const line = machine.states.filter((state) => state.state !== "failed");
  const failed = machine.states.find((state) => state.state === "failed");
  const width = 2 * MARGIN + line.length * BOX.width + (line.length - 1) * BOX.gap;
  const height = FAILED.top + FAILED.height + MARGIN;
  const left = (index: number) => MARGIN + index * (BOX.width + BOX.gap);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="State machine">
      <svg class="machine" viewBox={`0 0 ${width} ${height}`} style={{ minWidth: `${width * 0.72}px` }}>
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0 8 4 0 8z" class="tip" />
          </marker>
        </defs>
        {line.slice(1).map((state, index) => {
          const before = line[index] as StateView;
          const taken = standing.taken.has(edgeKey(before.state, state.state));
          const y = MARGIN + BOX.height / 2;
          return (
            <path
              key={state.state}
              class={`edge ${taken ? "taken" : ""}`}
              d={`M${left(index) + BOX.width} ${y}H${left(index + 1) - 2}`}
              marker-end="url(#tip)"
            />
          );
        })}
        {line
          .filter((state) => !TERMINAL.has(state.state))
          .map((state) => (
            <WaysDown key={state.state} state={state} left={left(line.indexOf(state))} standing={standing} />
          ))}
        {line.map((state, index) => (
          <Box
            key={state.state}
            state={state}
            left={left(index)}
            look={lookOf(state.state, standing)}
            times={attempts.get(state.state) ?? 0}
            isChosen={chosen === state.state}
            choose={choose}
          />
        ))}
        {failed && (
          <Box
            state={failed}
            left={MARGIN}
            top={FAILED.top}
            width={width - 2 * MARGIN - BOX.width - BOX.gap}
            height={FAILED.height}
            look={lookOf("failed", standing)}
            times={0}
            isChosen={chosen === "failed"}
            choose={choose}
          />
        )}
      </svg>
    </div>
  );
}

/** From a phase down to failed, and up again by a resume. */
function WaysDown({ state, left, standing }: { state: StateView; left: number; standing: Standing }) {
  const [top, bottom] = [MARGIN + BOX.height, FAILED.top - 2];
  const fell = standing.taken.has(edgeKey(state.state, "failed"));
  const rose = standing.taken.has(edgeKey("failed", state.state));
  const x = left + BOX.width / 2;
  return (
    <>
      <path class={`edge down ${fell ? "fell" : ""}`} d={`M${x - 10} ${top}V${bottom}`} marker-end="url(#tip)" />
      <path class={`edge up ${rose ? "taken" : ""}`} d={`M${x + 10} ${bottom}V${top + 2}`} marker-end="url(#tip)" />
    </>
  );
}

interface BoxProps {
  readonly state: StateView;
  readonly left: number;
  readonly top?: number;
  readonly width?: number;
  readonly height?: number;
  readonly look: Look;
  readonly times: number;
  readonly isChosen: boolean;
  readonly choose: (state: string) => void;
}

function Box({ state, left, top = MARGIN, width = BOX.width, height = BOX.height, look, times, isChosen, choose }: BoxProps) {
  const toggle = () => choose(isChosen ? "" : state.state);
  const lines = wrapped(state.label, Math.floor(width / 7.6));
  const first = top + height / 2 + 4.5 - ((lines.length - 1) * 16) / 2;
  return (
    <g
      class={`state ${look} ${isChosen ? "chosen" : ""}`}
      role="button"
      tabIndex={0}
      aria-pressed={isChosen}
      aria-label={`${state.label}: ${SAID[look]}${times > 1 ? `, entered ${times} times` : ""}`}
      onClick={toggle}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle();
      }}
    >
      <rect x={left} y={top} width={width} height={height} rx="10" />
      {lines.map((line, index) => (
        <text key={line} x={left + width / 2} y={first + index * 16} text-anchor="middle">
          {line}
        </text>
      ))}
      {times > 1 && (
        <text class="times" x={left + width - 8} y={top + 14} text-anchor="end">
          ×{times}
        </text>
      )}
    </g>
  );
}

/** Breaks a label between words, into two lines at most; what is longer is cut. */
export function wrapped(label: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of label.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} ${word}`.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  const shown = lines.length > 2 ? [lines[0] as string, `${lines.slice(1).join(" ")}`] : lines;
  return shown.map((line) => (line.length > most ? `${line.slice(0, most - 1)}…` : line));
}
