import { defineConfig } from "vitest/config";

/** The tests that drive a real browser against a real server; one file after another, for both are heavy. */
export default defineConfig({
  test: { dir: "browser", fileParallelism: false, testTimeout: 60_000, hookTimeout: 120_000 },
});
