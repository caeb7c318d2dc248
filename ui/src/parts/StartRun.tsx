/** The form that starts a run. */

import { useState } from "preact/hooks";

import { post } from "../api/client";
import type { AnalyzeRequest, RunStatus } from "../api/schema";
import { addressOf, go } from "../router";
import { Problem } from "./Notice";

const NAMES = ["subreddit", "source", "analyzer"] as const;

export function StartRun() {
  const [asked, setAsked] = useState<Partial<AnalyzeRequest>>({});
  const [error, setError] = useState<Error | null>(null);
  const [waiting, setWaiting] = useState(false);
  const say = (name: (typeof NAMES)[number], value: string) =>
    setAsked(({ [name]: _before, ...rest }) => (value === "" ? rest : { ...rest, [name]: value }));

  async function start(event: Event) {
    event.preventDefault();
    setWaiting(true);
    try {
      const run = await post<RunStatus>("/analyze", asked);
      go(addressOf(["runs", run.run_id]));
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setWaiting(false);
    }
  }

  return (
    <section aria-labelledby="start">
      <h2 id="start">Start a run</h2>
      <form class="form row" onSubmit={(event) => void start(event)}>
        <label>
          Source
          <input
            placeholder="sample, archive:/path, reddit"
            list="sources"
            class="long"
            onInput={(event) => say("source", event.currentTarget.value)}
          />
          <datalist id="sources">
            <option value="sample" />
            <option value="reddit" />
            <option value="archive:" label="archive:PATH[,PATH...], posts and comments as NDJSON, .zst or .gz, read by the server" />
          </datalist>
        </label>
        <label>
          Subreddit
          <input
            placeholder="as the server is set"
            pattern="[A-Za-z0-9_]{2,21}"
            title="2 to 21 letters, digits and _"
            onInput={(event) => say("subreddit", event.currentTarget.value)}
          />
        </label>
        <label>
          Analyser
          <select onChange={(event) => say("analyzer", event.currentTarget.value)}>
            <option value="">as the server is set</option>
            <option value="lexicon">lexicon (offline)</option>
            <option value="llm">llm (a model)</option>
          </select>
        </label>
        <button class="primary" disabled={waiting}>
          {waiting ? "Starting…" : "Start"}
        </button>
      </form>
      <p class="quiet">What is left empty is as the server is set. An archive is a path on the server's machine: archive:/path/posts.zst,/path/comments.zst</p>
      <Problem error={error} />
    </section>
  );
}
