// Opens the reference page as a reader does: check.mjs PLAYWRIGHT CHROMIUM LOCAL HOSTED, the last two being URLs of the page.
import { strict as assert } from "node:assert";

const [playwright, executablePath, local, hosted] = process.argv.slice(2);
const { chromium } = (await import(playwright)).default;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** A page that minds what it says and whom it asks. */
const open = async (url) => {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  page.on("request", (request) => new URL(request.url()).host === new URL(url).host || complaints.push(`foreign: ${request.url()}`));
  await page.goto(url);
  await page.locator(".opblock").first().waitFor();
  return { page, complaints };
};

/** Opens every operation, and looks how an example of the balance reads. */
const balance = async (page) => {
  for (const summary of await page.locator(".opblock-summary-control").all()) await summary.click();
  assert.equal(await page.locator(".opblock.is-open").count(), await page.locator(".opblock").count());
  const operation = page.locator(".opblock", { has: page.locator('[data-path="/v2/accounts/balance"]') });
  const example = await operation.locator(".responses-table:not(.live-responses-table) .example").first().innerText();
  assert.match(example, /"balance": 17034\.00,/, "an example's number is no longer what was answered");
  return operation;
};

{
  const { page, complaints } = await open(local);
  assert.match(await page.locator("#credential").innerText(), /a token for its data is filled in/);
  const operation = await balance(page);
  await operation.locator('[data-param-name="stack"] select').selectOption("currency");
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table");
  await answer.locator("text=total_balance").first().waitFor();
  const text = await answer.innerText();
  assert.match(text, /^200/m);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, "the page is wider than the window");
  assert.match(text, /"total_balance": \d+\.\d\d,/);
  assert.match(text, /"balance": 17034\.00,/, "an answered number is no longer what was answered");
  assert.deepEqual(complaints, []);
  console.log(`${local}: ${text.match(/"total_balance": [\d.]+/)[0]}`);
}

{
  const { page, complaints } = await open(hosted);
  assert.match(await page.locator("#credential").innerText(), /^To read/);
  await balance(page);
  assert.equal(await page.getByRole("button", { name: "Execute" }).count(), 0, "a request would go to whoever hosts the page");
  assert.deepEqual(complaints, []);
  console.log(`${hosted}: reads`);
}

await browser.close();
