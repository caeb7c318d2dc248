/** A small line without axes: how a figure went over the days. */

import type { ConfidencePoint } from "../api/schema";

const [WIDTH, HEIGHT] = [96, 24];

export function Sparkline({ points }: { points: readonly ConfidencePoint[] }) {
  if (points.length < 2) return null;
  const x = (index: number) => 2 + (index / (points.length - 1)) * (WIDTH - 4);
  const y = (share: number) => 2 + (1 - share) * (HEIGHT - 4);
  const said = points.map((point) => `${point.date}: ${Math.round(point.confidence * 100)} %`).join(", ");
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={`Confidence, ${said}`}>
      <polyline points={points.map((point, index) => `${x(index)},${y(point.confidence)}`).join(" ")} />
    </svg>
  );
}
