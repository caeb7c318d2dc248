/** How numbers and instants are said. */

export type Zone = "local" | "utc";

const MINUTE_MS = 60_000;

/**
 * `2025-03-12 18:00:00`, and `Z` behind it where it is UTC: every reader can sort it and none takes it for another day.
 * The browser's own formats would cost some 30 ms of the page's start.
 */
export function instant(iso: string, zone: Zone): string {
  const date = new Date(iso);
  const aheadMs = zone === "utc" ? 0 : -date.getTimezoneOffset() * MINUTE_MS;
  const written = new Date(date.getTime() + aheadMs).toISOString().slice(0, "2025-03-12T18:00:00".length).replace("T", " ");
  return zone === "utc" ? `${written}Z` : written;
}

/** Says seconds as people do: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes < 60) return `${minutes} min ${String(rest).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function percent(share: number | null | undefined, digits = 0): string {
  return share === null || share === undefined ? "–" : `${(share * 100).toFixed(digits)} %`;
}

/** A gain or a loss, with its sign. */
export function change(share: number | null | undefined): string {
  if (share === null || share === undefined) return "–";
  return `${share > 0 ? "+" : share < 0 ? "−" : ""}${(Math.abs(share) * 100).toFixed(1)} %`;
}

let dollarFormat: Intl.NumberFormat | undefined;

export function dollars(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return "–";
  dollarFormat ??= new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
  return dollarFormat.format(amount).replace("-", "−");
}

export function count(number: number, unit: string): string {
  return `${number.toLocaleString("en-US")} ${unit}${number === 1 ? "" : "s"}`;
}

export function portfolioName(portfolio: { instrument_type: string; signal_type: string }): string {
  return `${portfolio.instrument_type === "stock" ? "Stocks" : "Options"} on ${portfolio.signal_type} signals`;
}
