import { defineConfig } from "vite";

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
    lib: { entry: "src/main.ts", formats: ["iife"], name: "kinlensExplorer", fileName: () => "app.js", cssFileName: "app" },
  },
});
