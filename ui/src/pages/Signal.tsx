/** One signal with its evidence. Bodies are strangers' words: they are shown as text and as nothing else. */

import { useState } from "preact/hooks";

import type { CommentView, ConfidenceParts, PageCommentView, PagePositionView, PositionView, SignalView } from "../api/schema";
import { useLoaded, useTitle } from "../hooks";
import { Badge } from "../parts/Badge";
import { Fact } from "../parts/Fact";
import { Problem } from "../parts/Notice";
import { PositionTable } from "../parts/PositionTable";
import { addressOf } from "../router";
import { instant, percent, type Zone } from "../words";

const PAGE = 50;

export function Signal({ id, zone }: { id: number; zone: Zone }) {
  const signal = useLoaded<SignalView>(`/signals/${id}`);
  const comments = useLoaded<PageCommentView>(`/signals/${id}/comments`);
  const found = signal.value;
  useTitle(found === null ? `Signal ${id}` : `${found.ticker}, ${found.prediction}, ${found.signal_date}`);
  const positions = useLoaded<PagePositionView>(found === null ? null : `/positions?ticker=${encodeURIComponent(found.ticker)}`);
  const own = positions.value?.items.filter((position: PositionView) => position.signal_id === id) ?? [];
  return (
    <main>
      <p>
        <a href={addressOf(["signals"])}>All signals</a>
      </p>
      <Problem error={signal.error} />
      {found !== null && (
        <>
          <div class="head">
            <h1>{found.ticker}</h1>
            <Badge word={found.prediction} />
            <span class="quiet">
              {found.signal_type} signal of {found.signal_date}
            </span>
          </div>
          <dl class="facts">
            <Fact name="Confidence" value={percent(found.confidence)} />
            <Fact name="Lean, −1 to 1" value={found.sentiment_score.toFixed(2)} />
            <Fact name="People" value={String(found.distinct_users)} />
            <Fact name="Comments" value={String(found.comment_count)} />
            <Fact name="Mentions in the 7 days before" value={String(found.prior_7d_mentions)} />
          </dl>
          {found.confidence_parts != null && <Parts parts={found.confidence_parts} />}
        </>
      )}
      {own.length > 0 && (
        <section aria-labelledby="traded">
          <h2 id="traded">What was traded on it</h2>
          <PositionTable positions={own} />
        </section>
      )}
      <Evidence comments={comments.value?.items ?? []} ticker={found?.ticker ?? ""} zone={zone} />
    </main>
  );
}

const PARTS: Readonly<Record<keyof ConfidenceParts, string>> = {
  volume: "how many spoke",
  alignment: "how much they agree",
  ai_confidence: "how sure the analyser is",
  author_trust: "how far the authors are trusted",
};

/** What the confidence is made of: a bar whose parts add up to it, and the same in words. */
function Parts({ parts }: { parts: ConfidenceParts }) {
  const shares = Object.entries(PARTS).map(([name, said]) => [name, said, parts[name as keyof ConfidenceParts]] as const);
  return (
    <div class="parts">
      <div class="bar" aria-hidden="true">
        {shares.map(([name, , share]) => (
          <span key={name} class={name} style={{ width: `${share * 100}%` }} />
        ))}
      </div>
      <ul>
        {shares.map(([name, said, share]) => (
          <li key={name}>
            <span class={`dot ${name}`} aria-hidden="true" /> {percent(share)} {said}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Evidence({ comments, ticker, zone }: { comments: readonly CommentView[]; ticker: string; zone: Zone }) {
  const [shown, setShown] = useState(PAGE);
  return (
    <section aria-labelledby="evidence">
      <h2 id="evidence">The comments behind it ({comments.length})</h2>
      <ol class="comments">
        {comments.slice(0, shown).map((comment) => (
          <li key={comment.id}>
            <Comment comment={comment} ticker={ticker} zone={zone} />
          </li>
        ))}
      </ol>
      {comments.length > shown && <button onClick={() => setShown(shown + PAGE)}>Show more</button>}
    </section>
  );
}

function Comment({ comment, ticker, zone }: { comment: CommentView; ticker: string; zone: Zone }) {
  const stance = comment.ticker_sentiments.find((each) => each.ticker === ticker)?.sentiment ?? comment.sentiment;
  return (
    <article>
      <p class="body">{comment.body ?? "Its author has deleted it."}</p>
      <p class="quiet">
        {stance !== null && <Badge word={stance} />} {percent(comment.ai_confidence)} sure
        {comment.has_reasoning === true && ", gives a reason"}
        {comment.sarcasm_detected === true && ", sarcastic"}, {comment.score} points, author trust {percent(comment.author_trust_score)},{" "}
        <time dateTime={comment.created_utc}>{instant(comment.created_utc, zone)}</time>, read by {comment.analyzer}
      </p>
      {comment.reasoning_summary !== null && <p class="summary">{comment.reasoning_summary}</p>}
    </article>
  );
}
