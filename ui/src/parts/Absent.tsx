/** What a page says where the server runs phases that keep no such records. */

import { Refusal } from "../api/client";
import { addressOf } from "../router";
import { Problem } from "./Notice";

export function isAbsent(error: Error | null): boolean {
  return error instanceof Refusal && error.problem.status === 404;
}

export function Absent({ what, error }: { what: string; error: Error | null }) {
  if (!isAbsent(error)) return <Problem error={error} />;
  return (
    <p class="empty">
      The phases that this server runs keep no {what}. <a href={addressOf([])}>To the runs</a>
    </p>
  );
}
