/** The address is the state: which page, which record, which filters. */

import { useEffect, useState } from "preact/hooks";

const BASE = "/ui";

export interface Place {
  readonly path: readonly string[];
  readonly filters: Readonly<Record<string, string>>;
}

export function placeOf(url: URL): Place {
  const path = url.pathname.slice(BASE.length).split("/").filter(Boolean).map(decodeURIComponent);
  return { path, filters: Object.fromEntries(url.searchParams) };
}

export function addressOf(path: readonly (string | number)[], filters: Record<string, string> = {}): string {
  const set = Object.entries(filters).filter(([, value]) => value !== "");
  const search = set.length === 0 ? "" : `?${new URLSearchParams(set)}`;
  return `${BASE}/${path.map((part) => encodeURIComponent(part)).join("/")}${search}`;
}

export function go(address: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Changes some filters and keeps the page. */
export function filter(place: Place, changes: Record<string, string>): void {
  go(addressOf(place.path, { ...place.filters, ...changes }), "replace");
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(new URL(location.href)));
  useEffect(() => {
    const look = () => setPlace(placeOf(new URL(location.href)));
    addEventListener("popstate", look);
    return () => removeEventListener("popstate", look);
  }, []);
  return place;
}

/** Takes a click on a link of ours without loading the page anew; other clicks are the browser's. */
export function takeClick(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (link === null || !plain || event.defaultPrevented || link.target !== "" || link.hasAttribute("download")) return;
  if (link.getAttribute("href")?.startsWith("#") === true) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !url.pathname.startsWith(`${BASE}/`)) return;
  event.preventDefault();
  go(url.pathname + url.search);
  scrollTo(0, 0);
}
