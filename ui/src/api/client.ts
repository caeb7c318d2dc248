/** Calls of our own API: JSON in, JSON out, and every refusal as a `Refusal` with the server's own sentence. */

import type { Problem } from "./schema";

const TOKEN = "phaseline.token";
/** Told to the window when the server wants a token, whoever asked it. */
export const TOKEN_WANTED = "phaseline:token-wanted";
const UNAUTHORIZED = 401;

/** What the server answered instead of what was asked for. */
export class Refusal extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. The page goes on trying.");
  }
}

export function rememberToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

export function headers(more: Record<string, string> = {}): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return token === null ? more : { ...more, authorization: `Bearer ${token}` };
}

async function call<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (response.status === UNAUTHORIZED) dispatchEvent(new Event(TOKEN_WANTED));
  if (!response.ok) throw new Refusal(await problemOf(response));
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<Problem> {
  const unknown = {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: `The server answered ${response.status}.`,
    code: "unknown",
  };
  try {
    return (await response.json()) as Problem;
  } catch {
    return unknown;
  }
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return call<T>(path, { headers: headers(), ...(signal ? { signal } : {}) });
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return call<T>(path, {
    method: "POST",
    headers: headers({ "content-type": "application/json" }),
    body: JSON.stringify(body),
  });
}

/** Builds a query string of what is set. */
export function query(values: Record<string, string | number | undefined>): string {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}
