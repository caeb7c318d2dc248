import { expect, test } from "vitest";

import { placeOf } from "../src/router";
import { wrapped } from "../src/parts/Machine";
import { change, count, dollars, duration, instant } from "../src/words";

test("seconds are said as people say them", () => {
  expect([0.04, 9.96, 59.6, 185, 3720].map(duration)).toEqual(["0.0 s", "10.0 s", "1 min 00 s", "3 min 05 s", "1 h 02 min"]);
});

test("a loss has a minus, a gain a plus, and nothing has neither", () => {
  expect([-0.037, 0, 0.5, null].map(change)).toEqual(["−3.7 %", "0.0 %", "+50.0 %", "–"]);
  expect([-1566, 0.5, null].map(dollars)).toEqual(["−$1,566.00", "$0.50", "–"]);
});

test.each(["America/New_York", "Asia/Kolkata", "UTC"])("an instant is written as clocks in %s show it, summer and winter", (zone) => {
  process.env["TZ"] = zone;
  const clock = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone });

  for (const at of ["2025-01-01T03:04:05.678Z", "2025-03-09T06:59:59Z", "2025-03-09T07:00:00Z", "2025-11-02T06:30:00Z", "2025-07-31T23:59:59.999Z"]) {
    expect(instant(at, "local")).toBe(clock.format(new Date(at)));
    expect(instant(at, "utc")).toBe(`${at.slice(0, 19).replace("T", " ")}Z`);
  }
});

test("one is one", () => {
  expect([count(1, "comment"), count(1200, "comment")]).toEqual(["1 comment", "1,200 comments"]);
});

test("a label is broken into two lines at most, and cut where even that is too long", () => {
  expect(wrapped("Updating author trust", 17)).toEqual(["Updating author", "trust"]);
  expect(wrapped("x".repeat(40), 10)).toEqual(["xxxxxxxxx…"]);
});

test("an address says the page, the record and the filters", () => {
  expect(placeOf(new URL("http://here/ui/runs/7?errors=1"))).toEqual({ path: ["runs", "7"], filters: { errors: "1" } });
});
