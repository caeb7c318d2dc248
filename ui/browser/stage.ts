/** The states that the page has to show: made once, by real runs. */

import type { Server } from "./server";

const DAYS = ["2025-03-12", "2025-03-13", "2025-03-14", "2025-03-17", "2025-03-18", "2025-03-19", "2025-03-20", "2025-03-21", "2025-03-24", "2025-03-25", "2025-03-26"];

/** Two weeks of the sample, a run a day. */
export async function weeks(server: Server, days: readonly string[] = DAYS): Promise<void> {
  for (const day of days) await server.ended(await server.run({}, { as_of: `${day}T18:00:00Z` }));
}

/** A position in an option. */
export async function option(server: Server): Promise<number> {
  const { items } = await server.ask<{ items: readonly { id: number }[] }>("GET", "/positions?instrument_type=option&status=closed");
  const first = items.at(-1);
  if (first === undefined) throw new Error("nobody has bought an option");
  return first.id;
}

export async function failed(server: Server, message?: string): Promise<number> {
  server.shut();
  const id = await server.run({ "3": "break" }, message === undefined ? {} : { message });
  await server.ended(id);
  return id;
}

/** A run that is at work in its third phase. */
export async function working(server: Server): Promise<number> {
  server.shut();
  const id = await server.run({ "3": "wait" });
  await server.until(id, (status) => status.state === "analyzing_comments" && (status.step_current ?? 0) > 1);
  return id;
}

/** A run that keeps a processor, and the server's interpreter, busy. */
export async function burning(server: Server): Promise<number> {
  server.shut();
  const id = await server.run({ "3": "burn" });
  await server.until(id, (status) => status.state === "analyzing_comments" && (status.step_current ?? 0) > 1);
  return id;
}

export async function cancelled(server: Server): Promise<number> {
  const id = await working(server);
  await server.ask("POST", `/runs/${id}/cancel`);
  await server.ended(id);
  return id;
}

/** A run whose process was killed in mid-phase, and which the next one brought to its end. */
export async function takenOver(server: Server): Promise<number> {
  const id = await working(server);
  await server.kill();
  server.open();
  await server.start();
  await server.ended(id);
  return id;
}
