/** The one place that knows the chart library. */

import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, MarkLineComponent, MarkPointComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

import type { ChartProps } from "./parts/Chart";

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, MarkPointComponent, TooltipComponent, CanvasRenderer]);

const DAY_MS = 86_400_000;

/** Draws into a place; the answer takes it away again. */
export function draw(place: HTMLElement, { lines, marks = [], levels = [], say }: ChartProps): () => void {
  const style = getComputedStyle(place);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const chart = init(place);
  chart.setOption({
    animation: false,
    color: [colour("--accent"), colour("--muted"), colour("--good"), colour("--warn"), colour("--bad")],
    textStyle: { fontFamily: style.fontFamily },
    grid: { left: 8, right: 28, top: lines.length > 1 ? 36 : 24, bottom: 8, outerBoundsMode: "same" },
    legend: lines.length > 1 ? { top: 0, textStyle: { color: colour("--text") } } : { show: false },
    tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: (value: unknown) => say(Number(value)) },
    xAxis: {
      type: "time",
      minInterval: DAY_MS,
      axisLabel: { color: colour("--muted"), formatter: "{yyyy}-{MM}-{dd}", hideOverlap: true },
    },
    yAxis: {
      type: "value",
      scale: true,
      axisLabel: { color: colour("--muted"), formatter: (value: number) => say(value) },
      splitLine: { lineStyle: { color: colour("--line") } },
    },
    series: lines.map((line, index) => ({
      type: "line",
      name: line.name,
      data: line.points.map(([date, value]) => [date, value]),
      showSymbol: line.points.length < 3,
      ...(index === 0 ? { markPoint: pointsOf(marks, colour("--text")), markLine: linesOf(levels, colour("--text")) } : {}),
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

function linesOf(levels: NonNullable<ChartProps["levels"]>, colour: string) {
  return {
    symbol: "none",
    data: levels.map((level) => ({
      name: level.name,
      yAxis: level.value,
      label: { formatter: level.name, position: "insideEndTop" as const, color: colour },
    })),
  };
}
