/** Follows one run for as long as anybody looks: what is known at once, then its stream, or polling where there is none. */

import { get, headers, query, Refusal, Unreachable } from "./client";
import type { EventView, PageEventView, RunStatus } from "./schema";
import { read } from "./sse";
import { inAPlace, onHidden, untilSeen } from "./tabs";

/** `polling`: streams don't get through; `shared`: other tabs have them; `lost`: nothing gets through. */
export type Connection = "connecting" | "live" | "polling" | "shared" | "lost" | "ended";

export interface Listener {
  event(event: EventView): void;
  status(status: RunStatus): void;
  connection(connection: Connection): void;
  refused(refusal: Refusal): void;
}

const POLL_MS = 2_000;
const LONGEST_PAUSE_MS = 10_000;
const BREATH_MS = 250;
/** A stream says something at once, and then every fifteen seconds at least; a longer silence is a stream that is held back. */
const FIRST_WORD_MS = 10_000;
const SILENCE_MS = 40_000;
const MOST_POLLS_BETWEEN_TRIES = 30;
const PAGE = 500;

/** Starts to follow; the answer ends it. */
export function follow(runId: number, listener: Listener): () => void {
  const stopping = new AbortController();
  void new Follower(runId, listener, stopping.signal).run();
  return () => stopping.abort();
}

class Follower {
  private seen = 0;
  private ended = false;
  /** Reads in a row that nobody answered. */
  private unanswered = 0;
  /** Streams in a row that brought nothing. */
  private mute = 0;
  private pollsBeforeNextTry = 0;

  constructor(
    private readonly runId: number,
    private readonly listener: Listener,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    this.listener.connection("connecting");
    while (!this.signal.aborted && !this.ended) {
      await untilSeen(this.signal);
      try {
        await this.read();
        this.unanswered = 0;
        if (!this.ended) await this.wait();
      } catch (error) {
        if (this.signal.aborted) return;
        if (error instanceof Refusal && error.problem.status < 500) return this.listener.refused(error);
        this.unanswered += 1;
        this.listener.connection("lost");
        await this.pause(Math.min(POLL_MS * 2 ** (this.unanswered - 1), LONGEST_PAUSE_MS));
      }
    }
    if (this.ended) this.listener.connection("ended");
  }

  /** Waits for news: on a stream while one lasts, else until the next poll is due. */
  private async wait(): Promise<void> {
    if (this.pollsBeforeNextTry > 0) {
      this.pollsBeforeNextTry -= 1;
      return this.poll("polling");
    }
    let wasHeard = false;
    const hadAPlace = await inAPlace(async () => {
      wasHeard = await this.stream();
    });
    if (this.ended || this.signal.aborted) return;
    if (!hadAPlace) return this.poll("shared");
    if (wasHeard || document.hidden) return this.pause(BREATH_MS);
    this.mute += 1;
    this.pollsBeforeNextTry = Math.min(2 ** this.mute, MOST_POLLS_BETWEEN_TRIES);
  }

  private poll(connection: Connection): Promise<void> {
    this.listener.connection(connection);
    return this.pause(POLL_MS);
  }

  /** Streams until the run, the stream or somebody's interest ends; says whether anything came. */
  private async stream(): Promise<boolean> {
    const closing = new AbortController();
    const close = () => closing.abort();
    let timer = setTimeout(close, FIRST_WORD_MS);
    let wasHeard = false;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(close, SILENCE_MS);
    };
    const shown = onHidden(close);
    this.signal.addEventListener("abort", close, { once: true });
    try {
      for await (const frame of read(await this.open(closing.signal), heard)) {
        if (!wasHeard) this.listener.connection("live");
        wasHeard = true;
        this.mute = 0;
        if (frame.event === "transition") this.take(JSON.parse(frame.data) as EventView);
        else this.listener.status(JSON.parse(frame.data) as RunStatus);
        if (frame.event === "end") this.ended = true;
      }
    } catch {
      // Whatever ended it: the next read says what is known, or that nobody answers.
    } finally {
      close();
      clearTimeout(timer);
      shown();
      this.signal.removeEventListener("abort", close);
    }
    return wasHeard;
  }

  private async open(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await fetch(`/runs/${this.runId}/stream`, {
      headers: headers({ accept: "text/event-stream", "last-event-id": String(this.seen) }),
      signal,
    });
    if (!response.ok || response.body === null) throw new Unreachable();
    return response.body;
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

  private pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, pauseMs);
      this.signal.addEventListener("abort", end);
    });
  }
}
