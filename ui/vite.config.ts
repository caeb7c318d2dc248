import { preact } from "@preact/preset-vite";
import { defineConfig } from "vite";

/** The page is served below /ui/ by our own server, which allows neither inline scripts nor eval. */
export default defineConfig({
  base: "/ui/",
  plugins: [preact()],
  build: {
    outDir: "../api/ui",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ["/analyze", "/runs", "/machine", "/signals", "/positions", "/portfolios", "/prices", "/readyz", "/choices",
       "/evaluation-periods", "/predictions"].map((path) => [path, "http://127.0.0.1:8000"]),
    ),
  },
});
