/** Server-sent events read with `fetch`, since an `EventSource` can't send a token. */

export interface Frame {
  readonly event: string;
  readonly id: string | null;
  readonly data: string;
}

/** Splits a text into its whole frames and the rest that waits for more. */
export function framesOf(text: string): { frames: Frame[]; rest: string } {
  const parts = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = parts.pop() ?? "";
  return { frames: parts.map(frameOf).filter((frame) => frame.data !== ""), rest };
}

function frameOf(part: string): Frame {
  const said = { event: "message", id: null as string | null, data: [] as string[] };
  for (const line of part.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") said.event = value ?? "";
    else if (field === "id") said.id = value ?? "";
    else if (field === "data") said.data.push(value ?? "");
  }
  return { event: said.event, id: said.id, data: said.data.join("\n") };
}

/** Yields the frames of a response until it ends; `heard` is told of everything that comes, comments too. */
export async function* read(body: ReadableStream<Uint8Array>, heard: () => void): AsyncGenerator<Frame> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const { frames, rest } = framesOf(waiting + value);
    waiting = rest;
    yield* frames;
  }
}
