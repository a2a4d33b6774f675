// One file without a reference to another: the script and the style stand inside the page, whose header allows them by
// their hashes. A <meta> holds the hash of all sources, so that a test can tell whether the committed file is current.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = import.meta.dirname ?? new URL(".", import.meta.url).pathname;

export function sourcesHash(): string {
  const hash = createHash("sha256");
  const files = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join((entry as { parentPath?: string }).parentPath ?? entry.path, entry.name).slice(root.length).replace(/^\//, ""));
  for (const name of [...files, "index.html", "vite.config.ts", "package-lock.json"].sort()) {
    hash.update(name + "\0").update(readFileSync(join(root, name))).update("\0");
  }
  return hash.digest("hex");
}

// What is inside the page, and its licences, for whoever gets the page alone.
function notices(names: string[]): string {
  return names
    .map((name) => {
      const folder = join(root, "node_modules", name);
      const version = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
      // DOMPurify gives the choice; its Apache licence is ours, and long.
      return `${name} ${version}\n\n${/Apache License/.test(text) ? "Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0" : text}`;
    })
    .join("\n\n* * *\n\n")
    .replaceAll("--", "- -");
}

function oneFile(): Plugin {
  return {
    name: "one-file",
    enforce: "post",
    generateBundle(_, bundle) {
      let script = "", style = "";
      const packages = new Set<string>();
      for (const [name, part] of Object.entries(bundle)) {
        if (part.type === "chunk") {
          script += part.code;
          for (const id of part.moduleIds) {
            const found = id.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/);
            if (found) packages.add(found[1]!);
          }
          delete bundle[name];
        } else if (name.endsWith(".css")) {
          style += part.source;
          delete bundle[name];
        }
      }
      const html = bundle["index.html"];
      if (html?.type !== "asset") throw new Error("no index.html");
      const inside = script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--").trim();
      html.source = String(html.source)
        .replace(/\s*<script[^>]*><\/script>/g, "")
        .replace(/\s*<link rel="stylesheet"[^>]*>/g, "")
        .replace(
          "</head>",
          () => `  <meta name="fieldprint-sources" content="${sourcesHash()}" />\n    <style>${style.trim()}</style>\n  </head>`,
        )
        .replace("</body>", () => `  <script type="module">${inside}</script>\n  </body>`)
        .trimEnd()
        .concat(`\n<!--\nThis page contains:\n\n${notices([...packages].sort())}\n-->\n`);
    },
  };
}

export default defineConfig({
  root,
  clearScreen: false,
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022",
    outDir: "dist",
    cssCodeSplit: false,
    modulePreload: false,
    assetsInlineLimit: Number.MAX_SAFE_INTEGER,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
    rollupOptions: { output: { inlineDynamicImports: true } },
  },
  server: { proxy: Object.fromEntries(["/v1", "/api", "/props", "/slots", "/metrics", "/health"].map((path) => [path, process.env.FIELDPRINT_SERVER ?? "http://127.0.0.1:8080"])) },
  plugins: [oneFile()],
});
