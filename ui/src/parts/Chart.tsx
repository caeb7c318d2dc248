/** A line chart; the same figures stand in a table below it. The chart library is loaded with the first chart. */

import { useEffect, useRef, useState } from "preact/hooks";

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [date: string, value: number])[];
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

export interface ChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly marks?: readonly Mark[];
  readonly levels?: readonly Level[];
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
  }, [JSON.stringify([props.lines, props.marks, props.levels]), scheme]);
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      <div ref={place} class="canvas" aria-hidden="true" />
      <Table {...props} />
    </figure>
  );
}

function Table({ title, lines, marks = [], levels = [], say }: ChartProps) {
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
            {[...marks, ...levels.map((level) => ({ ...level, date: "" }))].map((mark) => (
              <tr key={mark.name + mark.date}>
                <th scope="row">
                  {mark.name} {mark.date}
                </th>
                <td class="number">{say(mark.value)}</td>
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
