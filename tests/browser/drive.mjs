// Drives the dashboard in headless Chromium, as a person would. tests/browser.rs starts this over
// a running engine and says, as JSON in the only argument, where everything is.

import { readFile } from "node:fs/promises";
import { Stage, assert, equal } from "./stage.mjs";

const LONGEST_MS = 240_000;

const given = JSON.parse(process.argv[2]);
const stage = await Stage.open(given);
const at = (path) => given.shut + path;
const score = { kind: "score", payload: { video_ids: given.videos } };

const logIn = async (page, token) => {
  await page.goto(at("/login"));
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
};

const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();
const isLive = (page) => page.locator('#pulse[data-state="live"]').waitFor();
const notice = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

// From here on, a page that is loaded anew has forgotten this.
const mark = (page) => page.evaluate(() => { window.unmoved = true; });
const isUnmoved = async (page) => assert(await page.evaluate(() => window.unmoved), "reloaded");

// Waits for the numbers under a word on a queue's tile.
const number = (page, queue, word, expected) =>
  page
    .locator(`#n-${queue} .numbers > div`, { hasText: word })
    .locator("dd", { hasText: new RegExp(`^${expected}$`) })
    .waitFor();

const event = (page, id, state) =>
  page
    .locator("#events li", { has: page.getByRole("link", { name: `Job ${id}`, exact: true }) })
    .locator(`.badge.is-${state}`)
    .first()
    .waitFor();

// Scrolls to every picture, since those out of sight are not loaded; the kinds that came.
const pictures = async (page, within) => {
  const images = await page.locator(`${within} img`).all();
  for (const image of images) await image.scrollIntoViewIfNeeded();
  const isThere = (within) =>
    [...document.querySelectorAll(`${within} img`)].every(
      (image) => image.complete && image.naturalWidth > 0,
    );
  await page.waitForFunction(isThere, within);
  const kinds = async (within) => {
    const kind = async (image) => (await fetch(image.src)).headers.get("content-type");
    return Promise.all([...document.querySelectorAll(`${within} img`)].map(kind));
  };
  return page.evaluate(kinds, within);
};

const page = await stage.visitor();

const steps = {
  async "who has no token is asked for it, and a wrong one is not taken"() {
    await page.goto(at("/jobs"));
    equal(page.url(), at("/login"), "sent to");
    await stage.look(page, "login");
    stage.excuse(403);
    await logIn(page, "nonsense");
    await page.getByRole("alert").filter({ hasText: "not known" }).waitFor();
    await stage.look(page, "login-wrong");
    await logIn(page, given.act);
    await heading(page, "Overview");
    equal(page.url(), at("/"), "let in to");
  },

  async "the keyboard reaches the content, and a button on it"() {
    const focused = (read) => page.evaluate(read);
    await page.keyboard.press("Tab");
    equal(await focused(() => document.activeElement.className), "skip", "first focus");
    const top = await focused(() => document.activeElement.getBoundingClientRect().top);
    assert(top >= 0, "the skip link is seen when it has the focus");
    await page.keyboard.press("Enter");
    equal(await focused(() => document.activeElement.id), "main", "skipped to");
    const button = () => document.activeElement.matches("main button");
    for (let tab = 0; tab < 10 && !(await focused(button)); tab++) {
      await page.keyboard.press("Tab");
    }
    const label = await focused(() => document.activeElement.getAttribute("aria-label"));
    assert(/^Pause the queue /.test(label), `the first button is ${label}`);
    const outline = () => getComputedStyle(document.activeElement).outlineStyle;
    assert((await focused(outline)) !== "none", "the focus is seen");
    await page.keyboard.press("Enter");
    const queue = label.split(" ").at(-1);
    await notice(page, `The queue ${queue} is paused.`);
    await page.getByRole("button", { name: `Resume the queue ${queue}` }).press("Enter");
    await notice(page, `The queue ${queue} goes on.`);
  },

  async "a queue is paused and goes on by its button"() {
    await page.getByRole("button", { name: "Pause the queue scoring" }).click();
    await notice(page, "The queue scoring is paused.");
    equal(page.url(), at("/"), "said once");
    await page.locator("#s-scoring .is-paused").waitFor();
    assert(await isPaused("scoring"), "it is");
    await page.getByRole("button", { name: "Resume the queue scoring" }).click();
    await notice(page, "The queue scoring goes on.");
    await page.locator("#s-scoring .is-up").waitFor();
    assert(!(await isPaused("scoring")), "it does");
  },

  async "a job goes through before one's eyes"() {
    await isLive(page);
    await mark(page);
    await stage.pause("scoring");
    await page.getByRole("button", { name: "Resume the queue scoring" }).waitFor();
    const told = await page.locator("#n-scoring .spark").getAttribute("aria-label");
    const id = await stage.submit(score);
    await number(page, "scoring", "waiting", 1);
    await stage.look(page, "overview-paused");
    await stage.resume("scoring");
    await event(page, id, "running");
    await event(page, id, "succeeded");
    await number(page, "scoring", "waiting", 0);
    const ended = `${Number.parseInt(told, 10) + 1} jobs ended`;
    await page.locator(`#n-scoring .spark[aria-label^="${ended}"]`).waitFor();
    await isUnmoved(page);
    await stage.look(page, "overview");
  },

  async "what moves is seen at once, however slow the page is to come"() {
    const still = await stage.visitor();
    // Its own beat would find everything later; timers that fire are counted.
    await still.addInitScript(() => {
      window.setInterval = () => 0;
      window.timers = 0;
      const later = window.setTimeout;
      window.setTimeout = (act, wait) =>
        later(() => {
          act();
          window.timers += 1;
        }, wait);
    });
    await logIn(still, given.act);
    await isLive(still);
    await stage.pause("scoring");
    const first = await stage.submit(score);
    await event(still, first, "available");
    await number(still, "scoring", "waiting", 1);

    const { isTaken, letGo } = await slowly(still, at("/"));
    await stage.pause("thumbnails");
    await isTaken;
    const before = await still.evaluate(() => window.timers);
    const second = await stage.submit(score);
    await still.waitForFunction((before) => window.timers > before, before);
    letGo();
    await number(still, "scoring", "waiting", 2);
    await stage.resume("thumbnails");

    // Who was away finds what happened meanwhile, by the clock of the house.
    await still.evaluate(() => window.dispatchEvent(new Event("pagehide")));
    await stage.resume("scoring");
    await stage.api("GET", `/jobs/${second}/wait?timeout=20s`);
    await still.evaluate(() => window.dispatchEvent(new Event("pageshow")));
    await event(still, second, "succeeded");
    const times = await still.locator("#events time").allTextContents();
    assert(times.every((time) => /^\d\d:\d\d:\d\d$/.test(time)), `times: ${times}`);
    await still.context().close();
  },

  async "a page that does not have everything any more says so"() {
    await page.goto(at("/"));
    await isLive(page);
    await page.route(at("/"), async (route) => {
      const response = await route.fetch();
      const body = await response.text();
      await route.fulfill({ response, body: body.replaceAll('id="n-scoring"', "") });
    });
    await stage.pause("scoring");
    await page.locator('#pulse[data-state="slow"]').waitFor();
    await page.unroute(at("/"));
    await stage.resume("scoring");
    await isLive(page);
  },

  async "a server that does not answer any more is not called live"() {
    await page.goto(at("/"));
    await isLive(page);
    // Nobody answers, and nobody refuses.
    await page.route(at("/"), () => {});
    await stage.pause("scoring");
    await page.locator('#pulse[data-state="off"]').waitFor();
    await page.unroute(at("/"));
    await stage.resume("scoring");
    await isLive(page);
  },

  async "what has the focus is not under the bar"() {
    await page.goto(at("/videos"));
    for (const width of [1280, 660]) {
      await page.setViewportSize({ width, height: 500 });
      const gap = await page.evaluate(() => {
        const field = document.getElementById("region");
        const bar = document.querySelector(".top").getBoundingClientRect();
        field.blur();
        window.scrollBy(0, field.getBoundingClientRect().top - 5);
        field.focus();
        return field.getBoundingClientRect().top - bar.height;
      });
      assert(gap >= 0, `${-gap} of it at a width of ${width}`);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  },

  async "a job's page follows it"() {
    await stage.pause("scoring");
    const id = await stage.submit(score);
    await page.goto(at(`/jobs/${id}`));
    await page.locator("#state .badge.is-available").waitFor();
    await page.getByRole("button", { name: "Cancel" }).waitFor();
    await isLive(page);
    await mark(page);
    await stage.resume("scoring");
    await page.locator("#state .badge.is-succeeded").waitFor();
    await page.getByRole("heading", { name: "Found" }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).waitFor({ state: "detached" });
    await isUnmoved(page);
    await stage.look(page, "job");
  },

  async "a failed job is found and done again"() {
    await page.getByRole("link", { name: "Jobs", exact: true }).click();
    await page.getByLabel("State").selectOption("failed");
    await page.getByRole("button", { name: "Find" }).click();
    await page.waitForURL((url) => url.searchParams.get("state") === "failed");
    const states = await page.locator("#rows .badge").allTextContents();
    equal(states, ["failed"], "states");
    await stage.look(page, "jobs-failed");
    await page.locator("#rows").getByRole("link", { name: `${given.failed}`, exact: true }).click();
    await heading(page, `Job ${given.failed}`);
    await page.locator("#lines").getByText("payload").waitFor();
    await stage.look(page, "job-failed");
    await page.getByRole("button", { name: "Do again" }).click();
    await notice(page, "1 job will be done again.");
    await page.locator("#state .badge.is-succeeded").waitFor();
  },

  async "many jobs are cancelled at once, if one means it"() {
    const job = { kind: "liveness", payload: { video_ids: given.videos }, delay: "1h" };
    const ids = [await stage.submit(job), await stage.submit(job), await stage.submit(job)];
    await page.goto(at("/jobs?state=scheduled&kind=liveness"));
    const cancel = page.getByRole("button", { name: "Cancel" });
    await page.getByLabel("Tick all").check();
    equal(await page.locator("#rows input:checked").count(), ids.length, "ticked");
    await stage.look(page, "jobs-ticked");
    stage.answer(false, true);
    await cancel.click();
    equal(await page.locator("#rows input:checked").count(), ids.length, "still ticked");
    await page.getByLabel(`Job ${ids[0]}`, { exact: true }).uncheck();
    await cancel.click();
    await notice(page, "2 jobs cancelled.");
    await page.getByLabel("With").selectOption("all");
    stage.answer(true);
    await cancel.click();
    await notice(page, "1 job cancelled.");
    await page.locator("#rows .empty").waitFor();
    await page.goto(at("/jobs?state=cancelled"));
    equal(await page.locator("#rows .badge.is-cancelled").count(), ids.length, "cancelled");
  },

  async "all jobs are listed"() {
    await page.goto(at("/jobs"));
    await page.locator("#rows .badge").first().waitFor();
    await stage.look(page, "jobs");
  },

  async "a list that was empty gets jobs, and buttons for them"() {
    await page.goto(at("/jobs?state=scheduled&kind=liveness"));
    await page.locator("#rows .empty").waitFor();
    await isLive(page);
    await mark(page);
    const job = { kind: "liveness", payload: { video_ids: given.videos }, delay: "1h" };
    const id = await stage.submit(job);
    const box = page.getByLabel(`Job ${id}`, { exact: true });
    await box.focus();
    await page.keyboard.press("Space");
    const cancel = page.getByRole("button", { name: "Cancel" });
    await cancel.waitFor();
    // Enter on a box presses the first button of its form.
    const asked = page.waitForEvent("dialog");
    stage.answer(false);
    await page.keyboard.press("Enter");
    await asked;
    assert(await box.isChecked(), "still ticked");
    await isUnmoved(page);
    stage.answer(true);
    await cancel.click();
    await notice(page, "1 job cancelled.");
  },

  async "a job's page shows what is left to do, for as long as there is some"() {
    await stage.pause("cleanup");
    const job = { kind: "liveness", payload: { video_ids: [given.stubborn] } };
    const id = await stage.submit(job);
    await page.goto(at(`/jobs/${id}`));
    await isLive(page);
    await mark(page);
    await stage.resume("cleanup");
    await page.locator("#left-live pre", { hasText: given.stubborn }).waitFor();
    equal(await page.locator("#found section").count(), 0, "tables of nothing");
    await stage.look(page, "job-retried");
    await stage.api("POST", "/jobs/cancel", { ids: [id] });
    await page.locator("#state .badge.is-cancelled").waitFor();
    await page.locator("#left-live pre").waitFor({ state: "detached" });
    await isUnmoved(page);
  },

  async "the board shows who rises, by region, and a stranger's title as text"() {
    await page.getByRole("link", { name: "Videos", exact: true }).click();
    await heading(page, "Videos");
    await page.locator(".title", { hasText: given.title }).waitFor();
    equal(await page.locator('img[src="x"]').count(), 0, "pictures of a stranger's");
    const kinds = await pictures(page, "#rows");
    assert(kinds.includes("image/png"), `pictures: ${kinds}`);
    await stage.look(page, "videos");
    await page.getByLabel("Region").selectOption("PL");
    await page.getByRole("button", { name: "Show" }).click();
    await page.waitForURL((url) => url.searchParams.get("region") === "PL");
    const regions = await page.locator("#rows td:nth-of-type(6)").allTextContents();
    assert(regions.length > 1 && regions.every((region) => region === "PL"), `${regions}`);
    await stage.look(page, "videos-region");
  },

  async "a video's page draws its life"() {
    await page.goto(at("/videos"));
    await page.locator(".title", { hasText: given.title }).click();
    await heading(page, given.title);
    equal(await page.locator('img[src="x"]').count(), 0, "pictures of a stranger's");
    equal(await page.locator("#charts figure svg path.line").count(), 2, "charts");
    await page.getByText("Snapshots", { exact: true }).click();
    await page.getByRole("group", { name: "Snapshots" }).waitFor();
    equal(await pictures(page, "#seen"), ["image/png"], "its thumbnail");
    await stage.look(page, "video");
  },

  async "thumbnails hang on a wall by verdict, from our own cache"() {
    await page.getByRole("link", { name: "Thumbnails", exact: true }).click();
    await heading(page, "Thumbnails");
    const names = ["broken", "placeholder", "error", "valid"];
    for (const name of names) await page.getByRole("heading", { level: 2, name }).waitFor();
    const valid = await pictures(page, "#l-valid");
    assert(valid.length > 1 && valid.every((kind) => kind === "image/png"), `valid: ${valid}`);
    const broken = await pictures(page, "#l-broken");
    assert(broken.every((kind) => kind === "image/svg+xml"), `broken: ${broken}`);
    await stage.look(page, "thumbnails");
    const tab = page.getByRole("navigation", { name: "Verdicts" });
    await tab.getByRole("link", { name: "broken" }).click();
    await page.locator('.tabs a[aria-current]', { hasText: "broken" }).waitFor();
    equal(await page.locator("#l-valid").count(), 0, "others are out of sight");
    await stage.look(page, "thumbnails-broken");
  },

  async "a dead video has evidence, is exported, and asked for again"() {
    await page.getByRole("link", { name: "Links", exact: true }).click();
    await heading(page, "Links");
    await stage.look(page, "links");
    const tab = page.getByRole("navigation", { name: "Verdicts" });
    await tab.getByRole("link", { name: "dead" }).click();
    const row = page.getByRole("row").filter({ hasText: given.dead });
    await row.locator(".badge.is-dead").waitFor();
    const [evidence, status] = await row.locator(".told, td.n").allTextContents();
    assert(evidence.length > 5 && status === "404", `evidence: ${evidence} ${status}`);
    await stage.look(page, "links-dead");

    const csv = await saved("CSV", "links-dead.csv");
    assert(csv.startsWith("video_id,") || csv.startsWith('"video_id"'), csv.slice(0, 80));
    assert(csv.includes(given.dead) && !csv.includes("alive"), csv);
    const json = JSON.parse(await saved("JSON", "links-dead.json"));
    assert(json.some((row) => row.video_id === given.dead), JSON.stringify(json));

    await page.getByRole("button", { name: `Ask again for ${given.dead}` }).click();
    await notice(page, /^Job \d+ asks/);
    const told = await page.getByRole("status").textContent();
    await page.goto(at(`/jobs/${Number.parseInt(told.slice(4), 10)}`));
    await page.locator("#state .badge.is-succeeded").waitFor();
    await page.locator("#found").getByRole("link", { name: given.dead }).click();
    await heading(page, given.dead);
    await page.locator("#life-live .badge.is-dead").first().waitFor();
    await stage.look(page, "video-dead");
  },

  async "a write that does not show it comes from our page is refused"() {
    await page.goto(at("/"));
    const statuses = ([base, csrf]) => {
      const post = (path, headers, pairs) => {
        const body = pairs && new URLSearchParams(pairs);
        const asked = fetch(base + path, { method: "POST", headers, body, redirect: "manual" });
        return asked.then((answer) => answer.status);
      };
      const pairs = { queue: "scoring", do: "pause", back: "/" };
      return Promise.all([
        post("/api/v1/queues/scoring/pause", {}),
        post("/api/v1/queues/scoring/pause", { "x-csrf-token": "made up" }),
        post("/act/queue", {}, pairs),
        post("/act/queue", {}, { ...pairs, csrf: "made up" }),
        post("/logout", {}, { csrf: "" }),
        post("/api/v1/queues/scoring/resume", { "x-csrf-token": csrf }),
      ]);
    };
    const csrf = await page.locator('input[name="csrf"]').first().inputValue();
    stage.excuse(403, 5);
    equal(
      await page.evaluate(statuses, [given.shut, csrf]),
      [403, 403, 403, 403, 403, 200],
      "statuses",
    );
    assert(!(await isPaused("scoring")), "nothing was done");
  },

  async "what is not there is a page too"() {
    stage.excuse(404);
    await page.goto(at("/jobs/999999"));
    await page.getByRole("link", { name: "To the overview" }).waitFor();
    await stage.look(page, "not-found");
  },

  async "who may only look sees no button"() {
    const looker = await stage.visitor();
    await logIn(looker, given.look);
    const video = `/video?id=${given.dead}`;
    for (const path of ["/", "/jobs", `/jobs/${given.failed}`, "/videos", video, "/links"]) {
      await looker.goto(at(path));
      await looker.getByRole("heading", { level: 1 }).waitFor();
      const acts = 'main form[method="post"] button, main input[name="csrf"], main [name="id"]';
      equal(await looker.locator(acts).count(), 0, `buttons of ${path}`);
    }
    await looker.goto(at("/"));
    await stage.look(looker, "overview-only-looking");
    await looker.context().close();
  },

  async "without tokens this machine is let in, and may act"() {
    const near = await stage.visitor();
    await near.goto(`${given.open}/`);
    await heading(near, "Overview");
    equal(await near.getByRole("button", { name: "Log out" }).count(), 0, "ways out");
    await near.getByRole("button", { name: "Pause the queue cleanup" }).click();
    await notice(near, "The queue cleanup is paused.");
    // Whoever looks at the same engine elsewhere sees it.
    await page.goto(at("/"));
    await page.getByRole("button", { name: "Resume the queue cleanup" }).waitFor();
    await mark(page);
    await near.getByRole("button", { name: "Resume the queue cleanup" }).click();
    await page.getByRole("button", { name: "Pause the queue cleanup" }).waitFor();
    await isUnmoved(page);
    await near.context().close();
  },

  async "a form is of the session that is, after a restart too"() {
    const near = await stage.visitor();
    await near.goto(`${given.open}/links`);
    await isLive(near);
    // As of a page that was opened before the daemon began anew.
    const csrf = 'main > form input[name="csrf"]';
    await near.locator(csrf).evaluate((input) => {
      input.value = "forgotten";
    });
    await stage.pause("scoring");
    await stage.resume("scoring");
    await near.waitForFunction(
      (csrf) => document.querySelector(csrf).value !== "forgotten",
      csrf,
    );
    await near.getByRole("button", { name: `Ask again for ${given.dead}` }).click();
    await notice(near, /^Job \d+ asks/);
    await near.context().close();
  },

  async "who leaves is out"() {
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(at("/login"));
    await page.goto(at("/jobs"));
    equal(page.url(), at("/login"), "sent to");
  },
};

// Has a page be taken by the script once and come only when it is let go.
async function slowly(page, url) {
  const made = () => {
    let keep;
    const promise = new Promise((resolve) => { keep = resolve; });
    return [promise, keep];
  };
  const [[isTaken, take], [isLetGo, letGo]] = [made(), made()];
  const slow = async (route) => {
    const response = await route.fetch();
    take();
    await isLetGo;
    await route.fulfill({ response });
  };
  await page.route(url, slow, { times: 1 });
  return { isTaken, letGo };
}

async function isPaused(queue) {
  const { queues } = await stage.api("GET", "/queues");
  const paused = queues.find((state) => state.queue === queue).paused_at;
  return paused !== null && paused !== undefined;
}

// Follows a link that is a download; what was saved.
async function saved(link, name) {
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: link, exact: true }).click();
  const file = await download;
  equal(file.suggestedFilename(), name, "saved as");
  return readFile(await file.path(), "utf8");
}

// Should the browser hang, whoever waits for it learns at which step.
let step = "";
setTimeout(() => {
  console.error(`over time: ${step}`);
  process.exit(1);
}, LONGEST_MS).unref();

try {
  for (const [name, act] of Object.entries(steps)) {
    step = name;
    const began = performance.now();
    await act();
    stage.check();
    console.log(`well: ${name} (${Math.round(performance.now() - began)} ms)`);
  }
} catch (error) {
  console.error(`FAILED: ${step}\n${error.stack}`);
  // What the page itself did wrong is often why.
  try {
    stage.check();
  } catch (faults) {
    console.error(faults.message);
  }
  await stage.keep();
  process.exitCode = 1;
} finally {
  await stage.close();
}
