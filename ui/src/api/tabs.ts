/**
 * What the tabs of one browser share: six connections to a server that speaks HTTP/1.1, for all of them together.
 * A live stream holds one for as long as it lives, so few tabs have one, and a tab that nobody looks at has none.
 */

/** Half of the connections, so that clicks in any tab are answered at once. */
const STREAMS = 3;

/**
 * Does the work while it holds one of the places for streams; says whether one was free.
 * Places are locks of the browser, which a tab that closes or crashes gives back. Pages that didn't come by HTTPS or
 * from the same machine have no locks: there every tab that is looked at streams.
 */
export async function inAPlace(work: () => Promise<void>): Promise<boolean> {
  const locks = navigator.locks as LockManager | undefined;
  if (locks === undefined) return work().then(() => true);
  for (let place = 0; place < STREAMS; place += 1) {
    const wasFree = await locks.request(`phaseline.stream.${place}`, { ifAvailable: true }, async (lock) => {
      if (lock !== null) await work();
      return lock !== null;
    });
    if (wasFree) return true;
  }
  return false;
}

/** Waits until the tab is looked at, or is no longer wanted. */
export function untilSeen(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = new AbortController();
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      done.abort();
      resolve();
    };
    document.addEventListener("visibilitychange", look, { signal: done.signal });
    signal.addEventListener("abort", look, { signal: done.signal });
    look();
  });
}

/** Calls back when the tab is hidden; the answer takes that back. */
export function onHidden(call: () => void): () => void {
  const look = () => document.hidden && call();
  document.addEventListener("visibilitychange", look);
  return () => document.removeEventListener("visibilitychange", look);
}
