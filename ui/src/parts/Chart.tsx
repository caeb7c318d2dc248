/** A line chart; the same figures stand in a table below it. The chart library is loaded with the first chart. */

import { useEffect, useRef, useState } from "preact/hooks";

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [date: string, value: number])[];
  /** Whether each point is a look of its own, with nothing known between two of them. */
  readonly isLooks?: boolean;
  /** Whether the other lines are to be compared with it. */
  readonly isBaseline?: boolean;
}

/** The name of a line's colour among those of the theme. */
export function colourOf(line: Line, index: number): string {
  const colours = ["--accent", "--good", "--warn", "--bad"] as const;
  return line.isBaseline === true ? "--muted" : (colours[index % colours.length] ?? "--accent");
}

export interface Mark {
  readonly name: string;
  readonly date: string;
  readonly value: number;
}

export interface Level {
  readonly name: string;
  readonly value: number;
}

/** A day that matters beside the line, such as the last one of a contract. */
export interface Day {
  readonly name: string;
  readonly date: string;
}

export interface ChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly marks?: readonly Mark[];
  readonly levels?: readonly Level[];
  readonly days?: readonly Day[];
  readonly say: (value: number) => string;
}

export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [scheme, setScheme] = useState(0);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setScheme((times) => times + 1);
    query.addEventListener("change", changed);
    addEventListener("phaseline:theme", changed);
    return () => (query.removeEventListener("change", changed), removeEventListener("phaseline:theme", changed));
  }, []);
  useEffect(() => {
    let dispose: (() => void) | undefined;
    let gone = false;
    void import("../chart").then(({ draw }) => {
      if (!gone && place.current !== null) dispose = draw(place.current, props);
    });
    return () => {
      gone = true;
      dispose?.();
    };
  }, [JSON.stringify([props.lines, props.marks, props.levels, props.days]), scheme]);
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      {props.lines.length > 1 && <Legend lines={props.lines} />}
      <div ref={place} class="canvas" aria-hidden="true" />
      <Table {...props} />
    </figure>
  );
}

function Legend({ lines }: { lines: readonly Line[] }) {
  return (
    <ul class="legend" aria-hidden="true">
      {lines.map((line, index) => (
        <li key={line.name}>
          <span class={line.isBaseline === true ? "key dashed" : "key"} style={{ borderColor: `var(${colourOf(line, index)})` }} />
          {line.name}
        </li>
      ))}
    </ul>
  );
}

function Table({ title, lines, marks = [], levels = [], days = [], say }: ChartProps) {
  const dates = [...new Set(lines.flatMap((line) => line.points.map(([date]) => date)))].sort().toReversed();
  const values = lines.map((line) => new Map(line.points));
  return (
    <details>
      <summary>The same as a table</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={title}>
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Day</th>
              {lines.map((line) => (
                <th key={line.name} scope="col" class="number">
                  {line.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {[...marks, ...levels.map((level) => ({ ...level, date: "" }))].map((mark, index) => (
              <tr key={index}>
                <th scope="row">
                  {mark.name} {mark.date}
                </th>
                <td class="number">{say(mark.value)}</td>
              </tr>
            ))}
            {days.map((day) => (
              <tr key={day.name}>
                <th scope="row">
                  {day.name} {day.date}
                </th>
                <td class="number">–</td>
              </tr>
            ))}
            {dates.map((date) => (
              <tr key={date}>
                <th scope="row">{date}</th>
                {values.map((value, index) => {
                  const found = value.get(date);
                  return (
                    <td key={index} class="number">
                      {found === undefined ? "–" : say(found)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
