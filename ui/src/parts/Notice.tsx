/** A sentence that somebody has to read: an error, a warning, or that nothing is there. */

import type { ComponentChildren } from "preact";

import { Refusal } from "../api/client";
import { addressOf } from "../router";

export function Notice({ kind, children }: { kind: "error" | "warning" | "info"; children: ComponentChildren }) {
  return (
    <p class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </p>
  );
}

/** Says an error in the server's own words, with the way on where there is one. */
export function Problem({ error }: { error: Error | null }) {
  if (error === null) return null;
  const active = error instanceof Refusal ? error.problem["active_run_id"] : undefined;
  return (
    <Notice kind="error">
      {error.message}
      {typeof active === "number" && (
        <>
          {" "}
          <a href={addressOf(["runs", active])}>Go to run {active}</a>
        </>
      )}
    </Notice>
  );
}
