/** The form that starts a run, with the sources and analysers that this server has. */

import { useState } from "preact/hooks";

import { post } from "../api/client";
import type { AnalyzeRequest, Choices, ChoiceView, RunStatus } from "../api/schema";
import { useLoaded } from "../hooks";
import { addressOf, go } from "../router";
import { Notice, Problem } from "./Notice";

/** A choice by its name, and what follows it after a colon; no name leaves it to the server's settings. */
interface Picked {
  readonly name: string;
  readonly argument: string;
}

const NOTHING: Picked = { name: "", argument: "" };

export function StartRun() {
  const choices = useLoaded<Choices>("/choices");
  const [source, setSource] = useState(NOTHING);
  const [analyzer, setAnalyzer] = useState(NOTHING);
  const [subreddit, setSubreddit] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const [waiting, setWaiting] = useState(false);
  const { sources = [], analyzers = [], defaults } = choices.value ?? {};

  async function start(event: Event) {
    event.preventDefault();
    setWaiting(true);
    setError(null);
    try {
      const asked: Partial<AnalyzeRequest> = { ...said("source", source), ...said("analyzer", analyzer), ...(subreddit && { subreddit }) };
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
        <Pick label="Source" choices={sources} byDefault={defaults?.source} picked={source} pick={setSource} />
        <label>
          Subreddit
          <input
            value={subreddit}
            placeholder={defaults?.subreddit ?? ""}
            pattern="[A-Za-z0-9_]{2,21}"
            title="2 to 21 letters, digits and _"
            onInput={(event) => setSubreddit(event.currentTarget.value)}
          />
        </label>
        <Pick label="Analyser" choices={analyzers} byDefault={defaults?.analyzer} picked={analyzer} pick={setAnalyzer} />
        <button class="primary" disabled={waiting}>
          {waiting ? "Starting…" : "Start"}
        </button>
      </form>
      <InTheWay choice={chosen(sources, source, defaults?.source)} />
      <InTheWay choice={chosen(analyzers, analyzer, defaults?.analyzer)} />
      <Unusable choices={[...sources, ...analyzers]} />
      <Problem error={error ?? choices.error} />
    </section>
  );
}

function said(field: "source" | "analyzer", { name, argument }: Picked): Partial<AnalyzeRequest> {
  if (name === "") return {};
  return { [field]: argument === "" ? name : `${name}:${argument}` };
}

function chosen(choices: readonly ChoiceView[], picked: Picked, byDefault: string | undefined): ChoiceView | undefined {
  return choices.find((each) => each.name === (picked.name || byDefault));
}

interface PickProps {
  readonly label: string;
  readonly choices: readonly ChoiceView[];
  readonly byDefault: string | undefined;
  readonly picked: Picked;
  readonly pick: (picked: Picked) => void;
}

function Pick({ label, choices, byDefault, picked, pick }: PickProps) {
  const choice = choices.find((each) => each.name === picked.name);
  return (
    <>
      <label>
        {label}
        <select value={picked.name} onChange={(event) => pick({ ...NOTHING, name: event.currentTarget.value })}>
          <option value="">{byDefault === undefined ? "as the server is set" : `as the server is set: ${byDefault}`}</option>
          {choices.map((each) => (
            <option key={each.name + (each.package ?? "")} value={each.name} disabled={each.problem !== null}>
              {each.name}
              {each.problem === null ? "" : " (not set up)"}
            </option>
          ))}
        </select>
      </label>
      {choice?.argument != null && (
        <label>
          {choice.needs_argument ? choice.summary : `What ${choice.name} is told, if anything`}
          <input
            class="long"
            value={picked.argument}
            placeholder={choice.argument}
            required={choice.needs_argument}
            onInput={(event) => pick({ ...picked, argument: event.currentTarget.value })}
          />
        </label>
      )}
    </>
  );
}

function InTheWay({ choice }: { choice: ChoiceView | undefined }) {
  if (choice?.problem == null) return null;
  return <Notice kind="warning">As the server is set this can't start: {choice.problem}.</Notice>;
}

/** What could be chosen were it set up, each with what is missing. */
function Unusable({ choices }: { choices: readonly ChoiceView[] }) {
  const unusable = choices.filter((each) => each.problem !== null);
  if (unusable.length === 0) return null;
  return (
    <details>
      <summary>{unusable.length} more when they are set up</summary>
      <dl class="choices-missing">
        {unusable.map((each) => (
          <div key={each.name + (each.package ?? "")}>
            <dt>
              {each.name} <small>{each.summary}</small>
            </dt>
            <dd>{each.problem}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
