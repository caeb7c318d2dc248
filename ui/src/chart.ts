/** The one place that knows the chart library. */

import { LineChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, MarkPointComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

import { type ChartProps, colourOf } from "./parts/Chart";

use([LineChart, GridComponent, MarkLineComponent, MarkPointComponent, TooltipComponent, CanvasRenderer]);

const DAY_MS = 86_400_000;
const [FEW, MANY] = [3, 60];
/** How much room an axis has beyond its outermost value, as a share of the whole. */
const MARGIN = 0.06;

interface Extent {
  readonly min: number;
  readonly max: number;
}

/** Makes an axis reach what stands beside the lines too: the library looks at the lines alone. */
function reach(values: readonly number[], margin: number) {
  if (values.length === 0) return {};
  const low = ({ min }: Extent) => Math.min(min, ...values);
  const high = ({ max }: Extent) => Math.max(max, ...values);
  const room = (extent: Extent) => (high(extent) - low(extent)) * margin;
  return { min: (extent: Extent) => low(extent) - room(extent), max: (extent: Extent) => high(extent) + room(extent) };
}

/** Draws into a place; the answer takes it away again. */
export function draw(place: HTMLElement, { lines, marks = [], levels = [], days = [], say }: ChartProps): () => void {
  const style = getComputedStyle(place);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const beside = [...marks, ...levels].map((each) => each.value);
  const chart = init(place);
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: style.fontFamily },
    grid: { left: 8, right: 28, top: 24, bottom: 8, outerBoundsMode: "same" },
    tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: (value: unknown) => say(Number(value)) },
    xAxis: {
      type: "time",
      minInterval: DAY_MS,
      axisLine: { onZero: false },
      ...reach([...marks, ...days].map((each) => Date.parse(each.date)), 0),
      axisLabel: { color: colour("--muted"), formatter: "{yyyy}-{MM}-{dd}", hideOverlap: true },
    },
    yAxis: {
      type: "value",
      scale: true,
      ...reach(beside, MARGIN),
      axisLabel: { color: colour("--muted"), formatter: (value: number) => say(value).replace(/\.00$/, ""), ...(beside.length > 0 ? { showMinLabel: false, showMaxLabel: false } : {}) },
      splitLine: { lineStyle: { color: colour("--line") } },
    },
    series: lines.map((line, index) => ({
      type: "line",
      name: line.name,
      data: line.points.map(([date, value]) => [date, value]),
      color: colour(colourOf(line, index)),
      lineStyle: { type: line.isBaseline === true ? ("dashed" as const) : ("solid" as const) },
      showSymbol: line.points.length < FEW || (line.isLooks === true && line.points.length < MANY),
      ...(index === 0 ? { markPoint: pointsOf(marks, colour("--text")), markLine: linesOf(levels, days, colour("--text")) } : {}),
    })),
  });
  const resizing = new ResizeObserver(() => chart.resize());
  resizing.observe(place);
  return () => {
    resizing.disconnect();
    chart.dispose();
  };
}

function pointsOf(marks: NonNullable<ChartProps["marks"]>, colour: string) {
  return {
    symbol: "circle",
    symbolSize: 10,
    label: { position: "top" as const, fontWeight: "bold" as const, color: colour },
    data: marks.map((mark) => ({ name: mark.name, value: mark.name, coord: [mark.date, mark.value] })),
  };
}

function linesOf(levels: NonNullable<ChartProps["levels"]>, days: NonNullable<ChartProps["days"]>, colour: string) {
  const across = levels.map((level) => ({
    name: level.name,
    yAxis: level.value,
    label: { formatter: level.name, position: "insideEndTop" as const, color: colour },
  }));
  const upright = days.map((day) => ({
    name: day.name,
    xAxis: day.date,
    label: { formatter: day.name, position: "insideStartTop" as const, color: colour },
  }));
  return { symbol: "none", data: [...across, ...upright] };
}
