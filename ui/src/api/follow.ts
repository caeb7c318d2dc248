/** Follows one run for as long as anybody looks: what is known at once, then its stream, or polling where streams fail. */

import { get, headers, query, Refusal, Unreachable } from "./client";
import type { EventView, PageEventView, RunStatus } from "./schema";
import { read } from "./sse";

export type Connection = "connecting" | "live" | "polling" | "lost" | "ended";

export interface Listener {
  event(event: EventView): void;
  status(status: RunStatus): void;
  connection(connection: Connection): void;
  refused(refusal: Refusal): void;
}

const POLL_MS = 2_000;
const LONGEST_PAUSE_MS = 10_000;
const TRIES_BEFORE_POLLING = 3;
const PAGE = 500;

/** Starts to follow; the answer ends it. */
export function follow(runId: number, listener: Listener): () => void {
  const stopping = new AbortController();
  void new Follower(runId, listener, stopping.signal).run();
  return () => stopping.abort();
}

class Follower {
  private seen = 0;
  private failures = 0;
  private ended = false;

  constructor(
    private readonly runId: number,
    private readonly listener: Listener,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    this.listener.connection("connecting");
    while (!this.signal.aborted && !this.ended) {
      try {
        await this.read();
        if (this.ended) break;
        if (this.failures > TRIES_BEFORE_POLLING) this.listener.connection("polling");
        else await this.stream();
        this.failures = this.failures > TRIES_BEFORE_POLLING ? this.failures : 0;
      } catch (error) {
        if (this.signal.aborted) return;
        if (error instanceof Refusal && error.problem.status < 500) return this.listener.refused(error);
        this.failures += 1;
        this.listener.connection("lost");
      }
      if (!this.ended) await this.pause();
    }
    if (this.ended) this.listener.connection("ended");
  }

  private async stream(): Promise<void> {
    const response = await fetch(`/runs/${this.runId}/stream`, {
      headers: headers({ accept: "text/event-stream", "last-event-id": String(this.seen) }),
      signal: this.signal,
    });
    if (!response.ok || response.body === null) throw new Unreachable();
    this.listener.connection("live");
    for await (const frame of read(response.body)) {
      if (frame.event === "transition") this.take(JSON.parse(frame.data) as EventView);
      else this.listener.status(JSON.parse(frame.data) as RunStatus);
      if (frame.event === "end") this.ended = true;
    }
  }

  /** A long history comes in few large pages; through the stream it would come one event at a time. */
  private async read(): Promise<void> {
    const status = await get<RunStatus>(`/runs/${this.runId}/status`, this.signal);
    this.listener.status(status);
    let page: PageEventView;
    do {
      const asked = query({ cursor: this.seen || undefined, limit: PAGE });
      page = await get<PageEventView>(`/runs/${this.runId}/events${asked}`, this.signal);
      page.items.forEach((event) => this.take(event));
    } while (page.next_cursor !== null);
    this.ended = status.status !== "running";
  }

  private take(event: EventView): void {
    if (event.seq <= this.seen) return;
    this.seen = event.seq;
    this.listener.event(event);
  }

  private pause(): Promise<void> {
    const pauseMs = Math.min(POLL_MS * 2 ** Math.max(0, this.failures - 1), LONGEST_PAUSE_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.failures === 0 ? 250 : pauseMs);
      this.signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}
