/** A status in one word, told by text and shape as well as by colour. */

const SIGNS: Readonly<Record<string, string>> = {
  running: "▶",
  completed: "✓",
  failed: "✕",
  bullish: "▲",
  bearish: "▼",
  neutral: "■",
  open: "●",
  closed: "○",
};

export function Badge({ word }: { word: string }) {
  return (
    <span class={`badge ${word}`}>
      <span aria-hidden="true">{SIGNS[word] ?? "•"}</span> {word}
    </span>
  );
}
