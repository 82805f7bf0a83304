import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

/** Digits that change with the sources; a test compares them with those in the built script. */
function digest() {
  const hash = createHash("sha256");
  for (const folder of ["public", "src"]) {
    for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(`${folder}/${name}`));
  }
  return hash.digest("hex").slice(0, 16);
}

// One classic script and one style sheet under fixed names: the same files serve a web server and,
// exported, a folder opened without one, where browsers load no modules.
export default defineConfig({
  publicDir: "public",
  build: {
    outDir: "../src/kinlens/explorer/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    lib: {
      entry: "src/main.ts",
      formats: ["iife"],
      name: "kinlensExplorer",
      fileName: () => "app.js",
      cssFileName: "app",
    },
    rollupOptions: { output: { banner: `/*! Built by \`make explorer\` from frontend/, ${digest()} */` } },
  },
});
