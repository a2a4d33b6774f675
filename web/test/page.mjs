// The page in a real browser against a real server: node web/test/page.mjs FIELDPRINT MODEL. The model is one of
// tests/support/tiny_gguf.py's write_script(): it says the text of web/test/script.md, whatever it is asked.
// FIELDPRINT_SHOTS=FOLDER keeps pictures. Any request to another host, breach of the policy, error on the console or
// finding of axe is a fault.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [cli, model] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.FIELDPRINT_SHOTS;
const folder = mkdtempSync(join(tmpdir(), "fieldprint-page-"));
const kWait = 20_000;

// ---- a server

async function serve(port, ...extra) {
  const child = spawn(cli, ["serve", model, "--port", String(port), "--data-dir", join(folder, "data"), ...extra], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => (log += text));
  const gone = new Promise((done) => child.on("exit", done));
  const url = await new Promise((done, fail) => {
    createInterface(child.stdout).on("line", (line) => {
      const found = line.match(/http:\/\/\S+/);
      if (found) done(found[0]);
    });
    gone.then((code) => fail(new Error(`the server ended with ${code}: ${log}`)));
    setTimeout(() => fail(new Error(`the server does not begin: ${log}`)), kWait).unref();
  });
  return { url, port: Number(new URL(url).port), kill: (signal) => (child.kill(signal), gone), log: () => log };
}

// ---- a browser

const faults = [];
const expected = []; // patterns of errors on the console that a step provokes
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });

async function open(url, { width = 1280, height = 860, scheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(kWait);
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  page.on("request", (request) => {
    const to = request.url();
    if (!to.startsWith(url) && !/^(data|blob|about):/.test(to)) faults.push(`a request to ${to}`);
  });
  page.on("pageerror", (error) => faults.push(`an error on the page: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.some((pattern) => pattern.test(message.text()))) faults.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  await page.waitForSelector(".app");
  return page;
}

async function accessible(page, where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const { id, help, nodes } of violations) {
    faults.push(`axe, ${where}: ${id}: ${help}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any.map((one) => one.message).join("; ")}`).join(" | ")}`);
  }
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
}

const quiet = (page) => page.waitForFunction(() => !document.querySelector(".live"), null, { timeout: 60_000 });
async function ask(page, text) {
  await page.fill("#prompt", text);
  await page.press("#prompt", "Enter");
  await page.waitForFunction((text) => [...document.querySelectorAll(".question")].at(-1)?.textContent === text, text);
  await page.waitForSelector(".live, .message.assistant, .problem");
  await quiet(page);
}
const last = (page) => page.locator(".message.assistant").last();
const count = (page, selector) => page.locator(selector).count();

/** Lets replies come no faster than this, so that an answer is seen to grow on any machine; 0: as fast as they do. */
async function throttle(page, bytesPerSecond) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: bytesPerSecond || -1, uploadThroughput: -1 });
  return session; // the limit ends with it
}

async function step(name, run) {
  const begin = Date.now();
  try {
    await run();
    console.log(`ok ${name} (${Date.now() - begin} ms)`);
  } catch (error) {
    faults.push(`${name}: ${error.stack ?? error}`);
    console.log(`not ok ${name}`);
  }
}

/** Server-sent events as a server sends them, for what the model at hand cannot be made to say. */
const events = (...chunks) => ({
  status: 200,
  contentType: "text/event-stream",
  body: [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map((data) => `data: ${data}\n\n`).join(""),
});

let server = await serve(0);
let page = await open(server.url);

await step("the empty page", async () => {
  await page.waitForSelector("text=What would you like to know?");
  assert.equal(await page.evaluate(() => document.activeElement.id), "prompt");
  await accessible(page, "empty, light");
  await shot(page, "empty");
});

await step("settings of a conversation", async () => {
  await page.click("[aria-label=Settings]");
  await page.fill("text=System prompt", "Be brief.");
  assert.notEqual(await page.getAttribute("label:has-text('Top k') input", "placeholder"), "–"); // the server's default
  await page.fill("label:has-text('Longest answer') input", "4000");
  await page.press("label:has-text('Longest answer') input", "Tab");
  await page.click("summary:has-text('Thinking, tools')");
  await page.fill("label:has-text('Tools') textarea", "[{");
  await page.waitForSelector("text=This is no JSON");
  await page.fill("label:has-text('Tools') textarea", "");
  await page.evaluate(() => document.querySelectorAll(".settings details").forEach((one) => (one.open = true)));
  await accessible(page, "settings, light");
  await shot(page, "settings");
  await page.keyboard.press("Escape");
  assert.equal(await count(page, ".panel"), 0);
});

await step("a whole answer, with a file", async () => {
  await page.setInputFiles(".composer input[type=file]", [
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("The office in Lyon opens at nine.\n") },
    { name: "picture.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 1, 2, 255]) },
  ]);
  await page.waitForSelector("text=is no text: only text files");
  assert.equal(await count(page, ".composer .chip"), 1);
  // A second file, dropped, and taken off again.
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["x"], "dropped.txt"));
    document.querySelector(".app").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await page.click("[aria-label='Remove dropped.txt']");
  await page.fill("#prompt", "When does it open?");
  await page.press("#prompt", "Shift+Enter");
  await page.type("#prompt", "And close?");
  const slow = await throttle(page, 400_000);
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".live .prose h2"); // it is shown while it grows
  await page.waitForSelector("[aria-label=Stop]");
  await quiet(page);
  await slow.detach();
  assert.equal(await page.textContent(".question"), "When does it open?\nAnd close?");
  assert.match(await page.textContent(".user .chip"), /notes\.txt/);
  assert.match(await last(page).locator(".figures").textContent(), /tokens\/s · [\d,]+ written · [\d,]+ read/);
});

await step("Markdown is shown, and cannot run anything", async () => {
  const prose = last(page).locator(".prose").first();
  assert.equal(await prose.locator("h2").first().textContent(), "Tides");
  assert.equal(await prose.locator("table tbody tr").count(), 2);
  assert.ok((await prose.locator(".code .hljs-keyword").count()) > 0);
  assert.ok((await prose.locator("math").count()) >= 2);
  assert.match(await prose.textContent(), /costs \$5 and \$6/); // prices are no formula
  assert.equal(await prose.locator("script, img, iframe, style, form, input, svg, object, embed, [onerror], [onclick], [style]").count(), 0);
  assert.equal(await prose.locator("a[href^=javascript]").count(), 0);
  assert.equal(await prose.locator("a").first().getAttribute("rel"), "noopener noreferrer nofollow");
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
  await prose.locator("[data-copy=code]").first().click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^def tide/);
  await page.evaluate(() => (document.querySelector(".chat").scrollTop = 0));
  await accessible(page, "an answer, light");
  await shot(page, "answer");
});

await step("sources of each token", async () => {
  await last(page).locator("label:has-text('Sources')").click();
  const tokens = last(page).locator(".token");
  assert.ok((await tokens.count()) > 100);
  const legend = await last(page).locator(".legend ul").textContent();
  assert.match(legend, /notes\.txt/);
  assert.match(legend, /Question/);
  await tokens.nth(5).hover();
  const shares = await page.locator(".inspector td:nth-child(2)").allTextContents();
  const sum = shares.reduce((all, text) => all + parseFloat(text), 0);
  assert.ok(Math.abs(sum - 100) < 1, `shares add up to ${sum} %`);
  await page.mouse.move(0, 0);
  await tokens.first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.textContent(".inspector"), /token 3 of/);
  await last(page).locator(".legend button:has-text('notes.txt')").click();
  await page.waitForSelector("text=It drove most");
  await page.evaluate(() => (document.querySelector(".chat").scrollTop = 0));
  await shot(page, "sources");
});

await step("probabilities of each token", async () => {
  await last(page).locator("label:has-text('Probabilities')").click();
  await last(page).locator(".token").nth(3).hover();
  assert.equal(await count(page, ".inspector tr"), 5);
  assert.equal(await count(page, ".inspector tr.chosen"), 1);
  await page.mouse.move(0, 0);
  await last(page).locator("label:has-text('Text')").click();
});

await step("replay and compare", async () => {
  assert.match(await last(page).locator(".replay code").textContent(), /^[0-9a-f]{12}$/);
  await last(page).locator("text=replay and compare").click();
  await page.waitForSelector("text=the same, bit for bit");
});

await step("attention maps", async () => {
  await last(page).locator("[aria-label='Attention maps']").click();
  await page.waitForSelector(".heads li");
  assert.ok((await count(page, ".heads li")) > 1);
  await page.click(".heads li:nth-child(2) button");
  await page.waitForSelector("h3:has-text('Head 2')");
  assert.ok((await count(page, ".looks tr")) > 3);
  await accessible(page, "attention, light");
  await shot(page, "attention");
});

await step("what the server does", async () => {
  await page.click(".top [aria-label=Server]");
  await page.waitForSelector("text=Architecture");
  assert.match(await page.textContent(".status"), /llama/);
  await page.waitForSelector(".line polyline[points*=' ']", { state: "attached" }); // a second sample has come
  await accessible(page, "status, light");
  await shot(page, "status");
  await page.click("[aria-label='Close server']");
});

await step("stop", async () => {
  const slow = await throttle(page, 50_000);
  await page.fill("#prompt", "Go on");
  await page.press("#prompt", "Enter");
  await page.waitForSelector(".live .prose h2");
  await page.keyboard.press("Escape");
  await quiet(page);
  await slow.detach();
  assert.match(await last(page).locator(".figures").textContent(), /stopped/);
  assert.match(await last(page).locator("h2").first().textContent(), /^T/);
  // An answer that was stopped can go on; then the next ones are short.
  const begun = await last(page).locator(".prose").first().textContent();
  await page.click("[aria-label=Settings]");
  await page.fill("label:has-text('Longest answer') input", "12");
  await page.press("label:has-text('Longest answer') input", "Tab");
  await page.click("[aria-label='Close settings']");
  await last(page).locator("[aria-label='Go on']").click();
  await page.waitForFunction(() => [...document.querySelectorAll(".message.assistant .branches span")].at(-1)?.textContent === "2/2");
  const whole = await last(page).locator(".prose").first().textContent();
  // Where it was stopped is chance, perhaps inside of bold text, which is written otherwise as long as it has no end.
  const plain = (text) => text.replaceAll("*", "").slice(0, 20);
  assert.equal(plain(whole), plain(begun), "it goes on");
  assert.notEqual(whole, begun, "it goes on");
});

await step("edit with the arrow, branches", async () => {
  await page.focus("#prompt");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.inputValue(".editor textarea"), "Go on");
  await page.fill(".editor textarea", "Go on, please");
  await page.keyboard.press("Enter");
  await page.waitForSelector("text=Go on, please");
  await page.waitForSelector(".message.assistant >> nth=1");
  await quiet(page);
  const question = page.locator(".message.user").last();
  assert.equal(await question.locator(".branches span").textContent(), "2/2");
  await question.locator("[aria-label='Branch before']").click();
  assert.equal(await page.locator(".question").last().textContent(), "Go on");
  await page.locator(".message.user").last().locator("[aria-label='Next branch']").click();
  assert.equal(await page.locator(".question").last().textContent(), "Go on, please");
  await last(page).locator("[aria-label='Answer again']").click();
  await page.waitForSelector(".live", { state: "attached" }).catch(() => {});
  await page.waitForFunction(() => [...document.querySelectorAll(".message.assistant .branches span")].at(-1)?.textContent === "2/2");
  assert.match(await last(page).locator(".figures").textContent(), /cut off at the limit/);
});

await step("tokens of a short answer, as axe sees them", async () => {
  for (const view of ["Sources", "Probabilities"]) {
    await last(page).locator(`label:has-text('${view}')`).click();
    await last(page).locator(".token").nth(3).hover();
    await accessible(page, `${view}, light`);
  }
  await page.mouse.move(0, 0);
  await last(page).locator("label:has-text('Text')").click();
});

await step("a question deleted, and back", async () => {
  const before = await page.locator(".question").allTextContents();
  await page.locator(".message.user").last().locator("[aria-label='Delete from here']").click();
  await page.waitForFunction(() => [...document.querySelectorAll(".question")].at(-1)?.textContent === "Go on");
  await page.click(".toast >> text=Undo");
  await page.waitForFunction((last) => [...document.querySelectorAll(".question")].at(-1)?.textContent === last, before.at(-1));
  await page.waitForFunction(() => [...document.querySelectorAll(".message.assistant .branches span")].at(-1)?.textContent === "2/2");
  assert.deepEqual(await page.locator(".question").allTextContents(), before);
});

const seen = (page) => page.evaluate(() => [...document.querySelectorAll(".question, .assistant .prose")].map((one) => one.textContent));

await step("all of it is there after a reload", async () => {
  const before = await seen(page);
  await page.reload();
  await page.waitForSelector(".message.assistant >> nth=1");
  assert.deepEqual(await seen(page), before);
  await page.click("[aria-label=Settings]");
  assert.equal(await page.inputValue("label:has-text('Longest answer') input"), "12");
  await page.click("[aria-label='Close settings']");
});

await step("who leaves in the middle of an answer finds its beginning", async () => {
  const elsewhere = await open(server.url);
  await throttle(elsewhere, 50_000);
  await elsewhere.fill("#prompt", "Tell me all");
  await elsewhere.press("#prompt", "Enter");
  await elsewhere.waitForSelector(".live .prose h2");
  await elsewhere.close({ runBeforeUnload: true });
  for (let tries = 0; tries < 20; ++tries) {
    const file = await (await fetch(`${server.url}/api/export`)).json();
    const kept = file.conversations.find((one) => one.title === "Tell me all");
    assert.ok(kept.messages.length <= 2, "it is kept once");
    if (kept.messages.length === 2) {
      assert.match(kept.messages[1].content, /^## Tides/);
      await fetch(`${server.url}/api/conversations/${kept.id}`, { method: "DELETE" });
      return;
    }
    await new Promise((done) => setTimeout(done, 200));
  }
  assert.fail("nothing of it was kept");
});

await step("and after the server was killed", async () => {
  const before = await seen(page);
  expected.push(/Failed to load resource/);
  await server.kill("SIGKILL");
  await page.fill("#prompt", "Anybody there?");
  await page.press("#prompt", "Enter");
  await page.waitForSelector("text=The server does not answer");
  assert.equal(await page.inputValue("#prompt"), "Anybody there?"); // nothing that was typed is lost
  await accessible(page, "the server gone");
  server = await serve(server.port);
  await page.waitForFunction(() => !document.querySelector(".banner"));
  await page.reload();
  await page.waitForSelector(".message.assistant >> nth=1");
  expected.length = 0; // errors of the page before it have all come by now
  assert.deepEqual(await seen(page), before);
});

await step("search, rename, delete, undo", async () => {
  await page.click("text=New conversation");
  await ask(page, "Name three rivers of Peru");
  // The end of an answer gives the focus to the question: who presses a moment too early presses again.
  for (let tries = 0; tries < 50; ++tries) {
    await page.keyboard.press("Control+k");
    await page.waitForTimeout(100);
    if (await page.evaluate(() => document.activeElement.id) === "search") break;
  }
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("peru");
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 1);
  assert.match(await page.textContent(".row"), /rivers of Peru/);
  await page.fill("#search", "nothing like this");
  await page.waitForSelector("text=Nothing is found");
  await page.fill("#search", "");
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 2);
  await page.click(".row.current .more");
  await page.click(".menu >> text=Rename");
  await page.fill(".row input", "A title that is far too long for the narrow list in which it has to find its place");
  await page.keyboard.press("Enter");
  await page.waitForSelector("h1:has-text('A title that is far too long')");
  await page.click(".row.current .more");
  await accessible(page, "a menu");
  await page.click(".menu >> text=Delete");
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 1);
  await page.click(".toast >> text=Undo");
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 2);
  await page.waitForSelector("text=Name three rivers of Peru");
});

await step("export and import", async () => {
  const before = await seen(page);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("[aria-label='Export all conversations']")]);
  const file = join(folder, "export.json");
  await download.saveAs(file);
  assert.equal(JSON.parse(readFileSync(file, "utf8")).conversations.length, 2);
  for (let left = 2; left > 0; --left) {
    await page.hover(".row");
    await page.click(".row .more");
    await page.click(".menu >> text=Delete");
    await page.waitForFunction((n) => document.querySelectorAll(".row").length === n, left - 1);
  }
  await page.setInputFiles(".sidebar input[type=file]", file);
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 2);
  await page.click(".row a:has-text('A title')");
  await page.waitForSelector(".message.assistant");
  assert.deepEqual(await seen(page), before);
  writeFileSync(file, "no JSON");
  await page.setInputFiles(".sidebar input[type=file]", file);
  await page.waitForSelector("text=is no JSON");
  expected.push(/status of 400/);
  writeFileSync(file, '{"format": "else"}');
  await page.setInputFiles(".sidebar input[type=file]", file);
  await page.waitForSelector("text=is this an exported file?");
  expected.length = 0;
});

await step("thoughts and tools", async () => {
  await page.click("text=New conversation");
  const call = { index: 0, id: "call_1", function: { name: "get_weather", arguments: '{"city": "Madrid"}' } };
  await page.route("**/v1/chat/completions", (route) =>
    route.fulfill(
      events(
        { choices: [{ delta: { reasoning_content: "They want to know about **Madrid**." } }] },
        { choices: [{ delta: { tool_calls: [call] }, finish_reason: "tool_calls" }] },
        { choices: [], usage: { prompt_tokens: 10, completion_tokens: 9, total_tokens: 19, prompt_tokens_details: { cached_tokens: 4 } } },
      ),
    ),
  );
  await ask(page, "Is it raining in Madrid?");
  await page.waitForSelector(".tool");
  assert.match(await page.textContent(".tool"), /get_weather[\s\S]*"city": "Madrid"/);
  assert.equal(await page.getAttribute(".reasoning", "open"), null); // folded
  assert.match(await last(page).locator(".figures").textContent(), /10 read, 4 of them from the cache/);
  await page.click(".reasoning summary");
  await page.waitForSelector(".reasoning strong");
  await accessible(page, "tools, light");
  let told;
  await page.unroute("**/v1/chat/completions");
  await page.route("**/v1/chat/completions", (route) => {
    told = route.request().postDataJSON();
    return route.fulfill(events({ choices: [{ delta: { content: "It is not." }, finish_reason: "stop" }] }));
  });
  await page.fill(".tool textarea", '{"rain": false}');
  await page.click("text=Send result");
  await page.waitForSelector("text=It is not.");
  assert.deepEqual(told.messages.slice(-2).map((one) => [one.role, one.tool_calls?.[0].id ?? one.tool_call_id]), [["assistant", "call_1"], ["tool", "call_1"]]);
  await page.unroute("**/v1/chat/completions");
});

await step("refusals", async () => {
  expected.push(/status of (400|503)/);
  let tries = 0;
  const refuse = (status, error, headers = {}) => ({ status, headers, contentType: "application/json", body: JSON.stringify({ error }) });
  await page.route("**/v1/chat/completions", (route) =>
    ++tries < 2 ? route.fulfill(refuse(503, { message: "the queue is full" }, { "Retry-After": "1" })) : route.fulfill(refuse(400, { message: "the prompt has 9000 tokens, and the context holds 4096", code: "context_length_exceeded" })),
  );
  await page.fill("#prompt", "Too much");
  await page.press("#prompt", "Enter");
  await page.waitForSelector("text=The server is busy");
  await page.waitForSelector("text=The context is full");
  await page.waitForSelector("text=9000 tokens, and the context holds 4096");
  await accessible(page, "the context is full");
  await shot(page, "full");
  await page.unroute("**/v1/chat/completions");
  // A prompt that really is too long.
  await page.click(".problem >> text=New conversation");
  await ask(page, "word ".repeat(5000).trim());
  await page.waitForSelector("text=The context is full");
  expected.length = 0;
});

await step("dark", async () => {
  await page.locator(".themes label[title=Dark]").click();
  await page.click(".row a:has-text('When does it open')");
  await page.waitForSelector(".message.assistant");
  await page.evaluate(() => (document.querySelector(".chat").scrollTop = 0));
  await accessible(page, "an answer, dark");
  await shot(page, "answer-dark");
  await page.locator(".message.assistant").first().locator("label:has-text('Sources')").click();
  await shot(page, "sources-dark");
  await page.click(".row a:has-text('A title')"); // a short answer: axe takes its time for each token
  await page.waitForSelector("text=Name three rivers of Peru");
  await page.locator(".message.assistant").first().locator("label:has-text('Sources')").click();
  await accessible(page, "sources, dark");
  for (const panel of ["Settings", "Server"]) {
    await page.click(`.top [aria-label=${panel}]`);
    await accessible(page, `${panel}, dark`);
  }
  await page.click("[aria-label='Attention maps'] >> nth=0");
  await page.waitForSelector(".heads li");
  await accessible(page, "attention, dark");
  await page.reload(); // the choice is remembered
  await page.waitForSelector("[data-theme=dark]");
});

await step("a template that takes turns alone", async () => {
  expected.push(/status of 400/);
  await page.click("text=New conversation");
  const asked = [];
  await page.route("**/v1/chat/completions", (route) => {
    asked.push(route.request().postDataJSON().messages.map((one) => one.role).join());
    return asked.length < 2
      ? route.fulfill({ status: 400, contentType: "application/json", body: '{"error": {"message": "roles must alternate"}}' })
      : route.fulfill(events({ choices: [{ delta: { content: "At nine." }, finish_reason: "stop" }] }));
  });
  await page.setInputFiles(".composer input[type=file]", [{ name: "n.txt", mimeType: "text/plain", buffer: Buffer.from("It opens at nine.") }]);
  await ask(page, "When does the shop open?");
  await page.waitForSelector("text=At nine.");
  assert.deepEqual(asked, ["user,user", "user"]);
  await page.unroute("**/v1/chat/completions");
  expected.length = 0;
});

await step("a phone", async () => {
  for (const scheme of ["light", "dark"]) {
    const phone = await open(server.url, { width: 390, height: 844, scheme });
    await accessible(phone, `phone, empty, ${scheme}`);
    await shot(phone, `phone-empty-${scheme}`);
    await phone.click(".top [aria-label=Conversations]");
    await phone.waitForSelector(".sidebar >> text=When does it open", { state: "visible" });
    await phone.waitForTimeout(250); // the drawer slides
    await accessible(phone, `phone, drawer, ${scheme}`);
    await phone.click(".row a:has-text('When does it open')");
    await phone.waitForSelector(".message.assistant");
    const fits = () => phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector(".chat").scrollWidth <= document.querySelector(".chat").clientWidth);
    assert.ok(await fits(), "nothing is wider than the phone");
    await phone.evaluate(() => (document.querySelector(".chat").scrollTop = 200));
    await shot(phone, `phone-answer-${scheme}`);
    await phone.locator(".message.assistant").first().locator("label:has-text('Sources')").click();
    assert.ok(await fits(), "nor are its sources");
    await phone.locator(".token").nth(4).click();
    await phone.waitForSelector(".inspector");
    await phone.evaluate(() => (document.querySelector(".chat").scrollTop = 0));
    await shot(phone, `phone-sources-${scheme}`);
    await phone.click(".top [aria-label=Conversations]");
    await phone.click(".row a:has-text('A title')");
    await phone.waitForSelector("text=Name three rivers of Peru");
    await phone.locator(".message.assistant").first().locator("label:has-text('Sources')").click();
    await phone.locator(".token").nth(4).click();
    await accessible(phone, `phone, sources, ${scheme}`);
    await phone.click("[aria-label=Settings]");
    await accessible(phone, `phone, settings, ${scheme}`);
    await phone.context().close();
  }
});

await step("an API key", async () => {
  const keys = join(folder, "keys");
  writeFileSync(keys, "ann-key\nbob-key\n");
  const locked = await serve(0, "--api-key-file", keys);
  expected.push(/status of 401/);
  const ann = await open(locked.url);
  await ann.waitForSelector("text=This server asks for a key");
  await accessible(ann, "the key's dialog");
  await ann.fill("[name=key]", "wrong");
  await ann.click("text=Continue");
  await ann.waitForSelector("text=is not accepted");
  await ann.fill("[name=key]", "ann-key");
  await ann.click("text=Continue");
  await ann.waitForSelector("text=What would you like to know?");
  assert.equal(await count(ann, ".row"), 0); // what was kept without a key is not Ann's
  await ann.click("[aria-label=Settings]");
  await ann.fill("label:has-text('Longest answer') input", "12");
  await ann.press("label:has-text('Longest answer') input", "Tab");
  await ask(ann, "A secret of Ann's");
  assert.equal(await count(ann, ".row"), 1);
  const bob = await open(locked.url);
  await bob.fill("[name=key]", "bob-key");
  await bob.click("text=Continue");
  await bob.waitForSelector("text=They stay on this server");
  assert.equal(await count(bob, ".row"), 0);
  expected.length = 0;
  // They ask for the server's state now and then, which would fail from here on.
  await ann.context().close();
  await bob.context().close();
  await locked.kill("SIGTERM");
});

await step("no other page may use the server from a browser", async () => {
  const post = (headers) => fetch(`${server.url}/api/conversations`, { method: "POST", headers, body: "{}" }).then((reply) => reply.status);
  assert.equal(await post({ "Content-Type": "text/plain" }), 415); // what a form can send
  assert.equal(await post({ "Content-Type": "application/json", Origin: "http://example.org" }), 403);
  const reply = await fetch(server.url);
  assert.match(reply.headers.get("content-security-policy"), /^default-src 'none'; script-src 'sha256-/);
  assert.equal(reply.headers.get("x-content-type-options"), "nosniff");
  const again = await fetch(server.url, { headers: { "If-None-Match": reply.headers.get("etag") } });
  assert.equal(again.status, 304);
});

await browser.close();
await server.kill("SIGTERM");
rmSync(folder, { recursive: true });
for (const fault of faults) console.log(`fault: ${fault}`);
process.exit(faults.length ? 1 : 0);
