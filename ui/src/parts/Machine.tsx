/** The state machine, laid out in the browser and lit where the run is. */

import type { MachineView, StateView } from "../api/schema";
import { edgeKey, type Standing, TERMINAL } from "../history";
import { useMedia } from "../hooks";
import { inAColumn, inARow, type Plan, type Rect } from "./plan";

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

const TIPS = ["plain", "taken", "fell"] as const;

export function Machine({ machine, standing, attempts, chosen, choose }: Props) {
  const isNarrow = useMedia("(max-width: 760px)");
  const line = machine.states.filter((state) => state.state !== "failed");
  const failed = machine.states.find((state) => state.state === "failed");
  const plan = (isNarrow ? inAColumn : inARow)(line.length);
  const box = (state: StateView, rect: Rect) => (
    <Box
      key={state.state}
      state={state}
      rect={rect}
      look={lookOf(state.state, standing)}
      times={attempts.get(state.state) ?? 0}
      isChosen={chosen === state.state}
      choose={choose}
    />
  );
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="State machine">
      <svg
        class="machine"
        viewBox={`0 0 ${plan.width} ${plan.height}`}
        style={{ minWidth: `${isNarrow ? 0 : plan.width * 0.72}px`, maxWidth: `${plan.width * 1.3}px` }}
      >
        <defs>
          {TIPS.map((tip) => (
            <marker key={tip} id={tip} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
              <path d="M0 0 8 4 0 8z" class={`tip ${tip}`} />
            </marker>
          ))}
        </defs>
        {line.map((state, index) => (
          <Ways key={state.state} plan={plan} index={index} state={state.state} next={line[index + 1]?.state} standing={standing} />
        ))}
        {line.map((state, index) => box(state, plan.boxes[index] as Rect))}
        {failed && box(failed, plan.failed)}
      </svg>
    </div>
  );
}

interface WaysProps {
  readonly plan: Plan;
  readonly index: number;
  readonly state: string;
  readonly next: string | undefined;
  readonly standing: Standing;
}

/** The ways out of a phase: onward, down to failed, and up again by a resume. */
function Ways({ plan, index, state, next, standing }: WaysProps) {
  if (TERMINAL.has(state) || next === undefined) return null;
  const way = (path: string, source: string, dest: string, taken: string) => {
    const tip = standing.taken.has(edgeKey(source, dest)) ? taken : "plain";
    return <path class={`edge ${tip}`} d={path} marker-end={`url(#${tip})`} />;
  };
  return (
    <>
      {way(plan.onward(index), state, next, "taken")}
      {way(plan.down(index), state, "failed", "fell")}
      {way(plan.up(index), "failed", state, "taken")}
    </>
  );
}

interface BoxProps {
  readonly state: StateView;
  readonly rect: Rect;
  readonly look: Look;
  readonly times: number;
  readonly isChosen: boolean;
  readonly choose: (state: string) => void;
}

function Box({ state, rect, look, times, isChosen, choose }: BoxProps) {
  const toggle = () => choose(isChosen ? "" : state.state);
  const lines = wrapped(state.label, Math.floor(rect.width / 7.6));
  const first = rect.top + rect.height / 2 + 4.5 - ((lines.length - 1) * 16) / 2;
  return (
    <g
      class={`state ${look} ${isChosen ? "chosen" : ""}`}
      role="button"
      tabindex={0} // an attribute of SVG counts only in lower case
      aria-pressed={isChosen}
      aria-label={`${state.label}${times > 1 ? ` ×${times}` : ""}: ${SAID[look]}`}
      onClick={toggle}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle();
      }}
    >
      <rect x={rect.left} y={rect.top} width={rect.width} height={rect.height} rx="10" />
      {lines.map((line, index) => (
        <text key={line} x={rect.left + rect.width / 2} y={first + index * 16} text-anchor="middle">
          {`${line} `}
        </text>
      ))}
      {times > 1 && (
        <text class="times" x={rect.left + rect.width - 8} y={rect.top + 14} text-anchor="end">
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
