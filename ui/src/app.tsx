/** The frame of every page: where one can go, light or dark, local time or UTC. */

import { useEffect, useRef } from "preact/hooks";

import { usePreference, useTitle, useTokenWanted, useTrouble } from "./hooks";
import { Notice } from "./parts/Notice";
import { Token } from "./parts/Token";
import { Position } from "./pages/Position";
import { Positions } from "./pages/Positions";
import { Predictions } from "./pages/Predictions";
import { Run } from "./pages/Run";
import { Runs } from "./pages/Runs";
import { Signal } from "./pages/Signal";
import { Signals } from "./pages/Signals";
import { addressOf, type Place, takeClick, usePlace } from "./router";
import type { Zone } from "./words";

const PAGES = [
  { name: "Runs", path: [], under: ["", "runs"] },
  { name: "Signals", path: ["signals"], under: ["signals"] },
  { name: "Portfolios", path: ["positions"], under: ["positions"] },
  { name: "Predictions", path: ["predictions"], under: ["predictions"] },
];
const POLL_MS = 5_000;

export function App() {
  const place = usePlace();
  const [theme, setTheme] = usePreference<"auto" | "light" | "dark">("theme", "auto");
  const [zone, setZone] = usePreference<Zone>("zone", "local");
  const trouble = useTrouble(POLL_MS);
  const isTokenWanted = useTokenWanted();
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    dispatchEvent(new Event("phaseline:theme"));
  }, [theme]);
  useEffect(() => {
    document.addEventListener("click", takeClick);
    return () => document.removeEventListener("click", takeClick);
  }, []);
  const content = useRef<HTMLDivElement>(null);
  const path = place.path.join("/");
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return; // the first page is the browser's to begin with
    before.current = path;
    content.current?.focus({ preventScroll: true });
  }, [path]);
  if (isTokenWanted) return <Token />;
  return (
    <>
      <a class="skip" href="#content">
        To the content
      </a>
      <header>
        <a class="name" href={addressOf([])}>
          Phaseline
        </a>
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <a key={page.name} href={addressOf(page.path)} {...(page.under.includes(place.path[0] ?? "") ? { "aria-current": "page" as const } : {})}>
              {page.name}
            </a>
          ))}
        </nav>
        <div class="choices">
          <button onClick={() => setZone(zone === "utc" ? "local" : "utc")}>{zone === "utc" ? "UTC" : "Local time"}</button>
          <button onClick={() => setTheme(theme === "auto" ? "dark" : theme === "dark" ? "light" : "auto")}>{{ auto: "Auto", dark: "Dark", light: "Light" }[theme]} theme</button>
        </div>
      </header>
      {trouble !== null && <Notice kind="error">{trouble.message}</Notice>}
      <div id="content" ref={content} tabIndex={-1}>
        <Page place={place} zone={zone} />
      </div>
    </>
  );
}

function Page({ place, zone }: { place: Place; zone: Zone }) {
  const [page = "", record] = place.path;
  const id = record === undefined ? null : /^[1-9]\d{0,15}$/.test(record) ? Number(record) : NaN;
  if (Number.isNaN(id)) return <Missing />;
  if (page === "" || (page === "runs" && id === null)) return <Runs place={place} zone={zone} />;
  if (page === "runs" && id !== null) return <Run key={id} id={id} place={place} zone={zone} />;
  if (page === "signals") return id === null ? <Signals place={place} /> : <Signal key={id} id={id} zone={zone} />;
  if (page === "positions") return id === null ? <Positions place={place} /> : <Position key={id} id={id} zone={zone} />;
  if (page === "predictions" && id === null) return <Predictions place={place} />;
  return <Missing />;
}

function Missing() {
  useTitle("There is no such page");
  return (
    <main>
      <h1>There is no such page</h1>
      <p>
        <a href={addressOf([])}>To the runs</a>
      </p>
    </main>
  );
}
