/** `node browser/run.mjs FILE.ts`: runs a TypeScript file, for Node 20 can't. */

import { runnerImport } from "vite";

await runnerImport(process.argv[2]);
