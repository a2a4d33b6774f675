// Markdown as a model writes it, made into HTML that can do nothing: HTML in it is text, but for a few harmless tags, and
// what comes out passes DOMPurify. The page's Content-Security-Policy is the third fence.
import DOMPurify from "dompurify";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import kotlin from "highlight.js/lib/languages/kotlin";
import lua from "highlight.js/lib/languages/lua";
import makefile from "highlight.js/lib/languages/makefile";
import markdown from "highlight.js/lib/languages/markdown";
import php from "highlight.js/lib/languages/php";
import python from "highlight.js/lib/languages/python";
import r from "highlight.js/lib/languages/r";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import katex from "katex";
import { Marked, type Token, type Tokens } from "marked";

const languages = { bash, c, cpp, csharp, css, diff, go, ini, java, javascript, json, kotlin, lua, makefile, markdown, php, python, r, ruby, rust, sql, swift, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

const escape = (text: string) =>
  text.replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]!);

const kHarmless = /^<\/?(?:br|sub|sup|kbd|b|i|em|strong|u|s|mark|small)\s*\/?>$/i;
const kLink = /^(?:https?:|mailto:|#)/i;

function maths(source: string, block: boolean): string {
  let html: string;
  try {
    // MathML needs no fonts and no style of its own.
    html = katex.renderToString(source, { output: "mathml", displayMode: block, throwOnError: true, strict: "ignore", maxExpand: 200 });
  } catch {
    html = `<code>${escape(source)}</code>`; // half of a formula that is still being written, or none at all
  }
  html = html.replace(/<annotation[\s\S]*?<\/annotation>/g, "");
  return block ? `<div class="maths" tabindex="0">${html}</div>` : html;
}

export function highlighted(code: string, language: string): string {
  const known = language && hljs.getLanguage(language) ? language : "";
  return known && code.length < 100_000 ? hljs.highlight(code, { language: known, ignoreIllegals: true }).value : escape(code);
}

const marked = new Marked({
  gfm: true,
  extensions: [
    {
      name: "maths_block",
      level: "block",
      start: (source: string) => source.match(/\$\$|\\\[/)?.index,
      tokenizer(source: string) {
        const found = source.match(/^ {0,3}\$\$([\s\S]+?)\$\$[ \t]*(?:\n|$)/) ?? source.match(/^ {0,3}\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/);
        return found ? { type: "maths_block", raw: found[0], text: found[1]!.trim() } : undefined;
      },
      renderer: (token: Tokens.Generic) => maths(token["text"], true),
    },
    {
      name: "maths",
      level: "inline",
      start: (source: string) => source.match(/\$|\\\(/)?.index,
      tokenizer(source: string) {
        // "$5 and $6" are prices: a formula touches its dollars, and no digit follows.
        const found =
          source.match(/^\$\$([^\n]+?)\$\$/) ??
          source.match(/^\$(?!\s)((?:\\.|[^\\$\n])+?)(?<!\s)\$(?![\d\w])/) ??
          source.match(/^\\\((.+?)\\\)/);
        return found ? { type: "maths", raw: found[0], text: found[1]!.trim() } : undefined;
      },
      renderer: (token: Tokens.Generic) => maths(token["text"], false),
    },
  ],
  renderer: {
    code({ text, lang }: Tokens.Code) {
      const language = (lang ?? "").match(/^[\w+#.-]+/)?.[0]?.toLowerCase() ?? "";
      return (
        `<div class="code"><div class="code-bar"><span>${escape(language || "text")}</span>` +
        `<button type="button" data-copy="code">Copy</button></div>` +
        `<pre tabindex="0"><code>${highlighted(text, language)}</code></pre></div>`
      );
    },
    html({ text }: Tokens.HTML | Tokens.Tag) {
      return kHarmless.test(text.trim()) ? text : escape(text);
    },
    // A picture would be a request to another host.
    image({ href, text }: Tokens.Image) {
      return kLink.test(href) ? `<a href="${escape(href)}">${escape(text || href)}</a>` : escape(text);
    },
    link({ href, tokens }: Tokens.Link) {
      const text = this.parser.parseInline(tokens);
      return kLink.test(href) ? `<a href="${escape(href)}">${text}</a>` : text;
    },
    table(token: Tokens.Table) {
      const cell = (name: string, { tokens, align }: Tokens.TableCell) =>
        `<${name}${align ? ` class="${align}"` : ""}>${this.parser.parseInline(tokens)}</${name}>`;
      const row = (name: string, cells: Tokens.TableCell[]) => `<tr>${cells.map((each) => cell(name, each)).join("")}</tr>`;
      return (
        `<div class="table" tabindex="0" role="region" aria-label="Table"><table><thead>${row("th", token.header)}</thead>` +
        `<tbody>${token.rows.map((cells) => row("td", cells)).join("")}</tbody></table></div>`
      );
    },
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? "☑ " : "☐ "),
  },
});

let purifierReady = false;
function purify(html: string): string {
  if (!purifierReady) {
    purifierReady = true;
    DOMPurify.addHook("afterSanitizeAttributes", (node) => {
      if (node.tagName === "A" && node.getAttribute("href")) {
        node.setAttribute("target", "_blank");
        node.setAttribute("rel", "noopener noreferrer nofollow");
      }
    });
  }
  return DOMPurify.sanitize(html, {
    USE_PROFILES: { html: true, mathMl: true },
    ADD_TAGS: ["semantics"],
    FORBID_TAGS: ["style", "form", "input", "textarea", "select", "img", "audio", "video", "source", "picture", "dialog"],
    FORBID_ATTR: ["style", "id", "name", "action", "srcset", "src", "background", "ping"],
  });
}

const cache = new Map<string, string>();

/** HTML block by block. While an answer grows only its last block is new: the others come from the cache. */
export function blocks(text: string): string[] {
  const tokens = marked.lexer(text);
  return tokens
    .filter((token: Token) => token.type !== "space" && token.type !== "def")
    .map((token) => {
      const known = cache.get(token.raw);
      if (known !== undefined) return known;
      const html = purify(marked.parser([token]));
      if (cache.size > 2000) cache.clear();
      // What a link refers to may still come: such blocks are made anew.
      if (!/\]\[|\]$/m.test(token.raw)) cache.set(token.raw, html);
      return html;
    });
}
