/** Where the parts of the state machine stand: in a row on a wide screen, in a column on a narrow one. */

export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Plan {
  readonly width: number;
  readonly height: number;
  /** The phases in order, then `completed`. */
  readonly boxes: readonly Rect[];
  readonly failed: Rect;
  /** From box `index` to the next; into `failed`; and out of it by a resume. */
  onward(index: number): string;
  down(index: number): string;
  up(index: number): string;
}

const MARGIN = 12;
const TIP = 2;
/** How far the ways to and from `failed` stand apart from the middle of a box. */
const APART = 10;

export function inARow(count: number): Plan {
  const [width, height, gap, depth] = [132, 64, 36, 52];
  const boxes = Array.from({ length: count }, (_, index) => ({ left: MARGIN + index * (width + gap), top: MARGIN, width, height }));
  const failed = { left: MARGIN, top: MARGIN + height + depth, width: (count - 1) * (width + gap) - gap, height: 40 };
  const [bottom, middle] = [MARGIN + height, MARGIN + height / 2];
  const x = (index: number) => MARGIN + index * (width + gap);
  return {
    width: 2 * MARGIN + count * (width + gap) - gap,
    height: failed.top + failed.height + MARGIN,
    boxes,
    failed,
    onward: (index) => `M${x(index) + width} ${middle}H${x(index + 1) - TIP}`,
    down: (index) => `M${x(index) + width / 2 - APART} ${bottom}V${failed.top - TIP}`,
    up: (index) => `M${x(index) + width / 2 + APART} ${failed.top}V${bottom + TIP}`,
  };
}

export function inAColumn(count: number): Plan {
  const [width, height, gap, depth] = [176, 46, 22, 44];
  const boxes = Array.from({ length: count }, (_, index) => ({ left: MARGIN, top: MARGIN + index * (height + gap), width, height }));
  const failed = { left: MARGIN + width + depth, top: MARGIN, width: 84, height: (count - 1) * (height + gap) - gap };
  const [right, middle] = [MARGIN + width, MARGIN + width / 2];
  const y = (index: number) => MARGIN + index * (height + gap);
  return {
    width: failed.left + failed.width + MARGIN,
    height: 2 * MARGIN + count * (height + gap) - gap,
    boxes,
    failed,
    onward: (index) => `M${middle} ${y(index) + height}V${y(index + 1) - TIP}`,
    down: (index) => `M${right} ${y(index) + height / 2 - APART}H${failed.left - TIP}`,
    up: (index) => `M${failed.left} ${y(index) + height / 2 + APART}H${right + TIP}`,
  };
}
