// A browser that is watched: whatever a page does that it must not is a fault, and a step with a
// fault fails. And what is seen of every page: by day, by night, on a phone, by axe.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const LONGEST_WAIT_MS = 30_000;
const SERIOUS = ["serious", "critical"];

// Chromium's own business stays on this machine, and no name leads off it.
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

export const assert = (holds, what) => {
  if (!holds) throw new Error(what);
};

export const equal = (found, expected, what) => {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  assert(left === right, `${what}: ${left}, expected ${right}`);
};

export class Stage {
  #faults = [];
  #excused = [];
  #answers = [];
  #axe;
  #browser;
  #given;

  // `given` is what tests/browser.rs says: addresses, tokens, folders.
  static async open(given) {
    const require = createRequire(join(given.modules, "here.js"));
    const { chromium } = require("playwright-core");
    const stage = new Stage();
    stage.#given = given;
    stage.#axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    // As playwright starts it, the folder of its user is a new one.
    stage.#browser = await chromium.launch({ executablePath: given.chromium, args: FLAGS });
    return stage;
  }

  async close() {
    await this.#browser.close();
  }

  // A page of somebody who was never here.
  async visitor() {
    const context = await this.#browser.newContext({
      viewport: DESK,
      colorScheme: "light",
      reducedMotion: "reduce",
      acceptDownloads: true,
    });
    context.setDefaultTimeout(LONGEST_WAIT_MS);
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`against the policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    context.on("console", (message) => {
      if (message.type() === "error") this.#wrong(`console: ${message.text()}`);
    });
    context.on("weberror", (error) => this.#wrong(`page error: ${error.error()}`));
    context.on("dialog", (dialog) => {
      const answer = this.#answers.shift();
      if (answer === undefined) this.#wrong(`dialog: ${dialog.message()}`);
      return answer ? dialog.accept() : dialog.dismiss();
    });
    context.on("request", (request) => {
      const ours = [this.#given.shut, this.#given.open].map((address) => new URL(address).host);
      const { host } = new URL(request.url());
      if (!ours.includes(host)) this.#wrong(`request to another host: ${request.url()}`);
    });
    return context.newPage();
  }

  #wrong(fault) {
    const excuse = this.#excused.findIndex((part) => fault.includes(part));
    if (excuse < 0) this.#faults.push(fault);
    else this.#excused.splice(excuse, 1);
  }

  // Chromium's console tells of answers that are refusals: so many with this status are meant.
  excuse(status, times = 1) {
    for (let time = 0; time < times; time++) this.#excused.push(`status of ${status} `);
  }

  // The next dialogs are meant, and answered so.
  answer(...answers) {
    this.#answers.push(...answers);
  }

  // The end of a step: nothing went wrong, and all that was meant to happen did.
  check() {
    const missing = this.#excused.map((part) => `not seen: ${part}`);
    const unasked = this.#answers.map(() => "a dialog did not come");
    const faults = [...this.#faults, ...missing, ...unasked];
    assert(faults.length === 0, faults.join("\n"));
  }

  // Keeps pictures of a page and has axe look at it.
  async look(page, name) {
    await page.evaluate(() => window.scrollTo(0, 0));
    await this.#look(page, name);
    await page.emulateMedia({ colorScheme: "dark" });
    await this.#look(page, `${name}-dark`);
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(PHONE);
    const widths = () => [document.documentElement.scrollWidth, window.innerWidth];
    const [content, window_] = await page.evaluate(widths);
    assert(content <= window_, `${name}: ${content} wide on a phone of ${window_}`);
    await this.#look(page, `${name}-phone`);
    await page.setViewportSize(DESK);
  }

  async #look(page, name) {
    await this.#shoot(page, name);
    await page.evaluate(this.#axe);
    const found = await page.evaluate(() => window.axe.run(document));
    assert(found.passes.length > 5, `${name}: axe looked at nothing`);
    const told = found.violations.map(({ id, impact, help, nodes }) => {
      const where = nodes.map((node) => `    ${node.target}: ${node.failureSummary}`);
      return { impact, text: [`${name}: ${impact}: ${id}: ${help}`, ...where].join("\n") };
    });
    const bad = told.filter(({ impact }) => SERIOUS.includes(impact));
    for (const { impact, text } of told) {
      if (!SERIOUS.includes(impact)) console.log(`  ${text}`);
    }
    assert(bad.length === 0, bad.map(({ text }) => text).join("\n"));
  }

  async #shoot(page, name) {
    // As it is: what else playwright does to a page for a picture is against our policy.
    await page.screenshot({
      path: join(this.#given.screens, `${name}.png`),
      fullPage: true,
      caret: "initial",
    });
  }

  // What was on all pages when a step failed.
  async keep() {
    const pages = this.#browser.contexts().flatMap((context) => context.pages());
    for (const [number, page] of pages.entries()) {
      await this.#shoot(page, `failed-${number}`).catch(() => {});
    }
  }

  // A program's call of the API.
  async api(method, path, body) {
    const response = await fetch(`${this.#given.shut}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#given.act}`,
        ...(body && { "content-type": "application/json" }),
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  // Hands in a job; its id.
  async submit(job) {
    const submitted = await this.api("POST", "/jobs", job);
    return submitted.ids[0];
  }

  async pause(queue) {
    await this.api("POST", `/queues/${queue}/pause`);
  }

  async resume(queue) {
    await this.api("POST", `/queues/${queue}/resume`);
  }
}
