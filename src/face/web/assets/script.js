"use strict";

// Pages are whole without this. It moves their numbers, ticks boxes and asks before it cancels.
(() => {
  const base = document.body.dataset.base;
  const pulse = document.getElementById("pulse");
  const MOST_EVENTS = 40;
  const AT_MOST_MS = 1000;
  const ANYWAY_MS = 10000;

  // What was just done is said once, not at every reload.
  const url = new URL(location.href);
  if (url.searchParams.has("done")) {
    url.searchParams.delete("done");
    history.replaceState(null, "", url);
  }

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && button.dataset.confirm && !window.confirm(button.dataset.confirm)) {
      event.preventDefault();
    }
  });

  const all = document.querySelector("[data-all]");
  if (all) {
    const boxes = () => document.querySelectorAll('input[name="id"][type="checkbox"]');
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
    });
  }

  if (!("moves" in document.body.dataset)) return;

  const say = (state, text) => {
    if (!pulse) return;
    pulse.hidden = false;
    if (pulse.dataset.state !== state) {
      pulse.dataset.state = state;
      pulse.textContent = text;
    }
  };

  // Nothing is taken from under a hand: what has the focus, a tick or a selection stays.
  const inUse = (element) => {
    const selection = document.getSelection();
    return (
      element.contains(document.activeElement) ||
      element.querySelector("input:checked") !== null ||
      (selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode))
    );
  };

  const swap = (old, fresh) => {
    if (old.isEqualNode(fresh) || inUse(old)) return;
    // A picture that is there is not loaded again.
    const pictures = new Map();
    for (const picture of old.querySelectorAll("img")) {
      pictures.set(picture.getAttribute("src"), picture);
    }
    const adopted = document.adoptNode(fresh);
    for (const picture of adopted.querySelectorAll("img")) {
      const there = pictures.get(picture.getAttribute("src"));
      if (there) picture.replaceWith(there);
    }
    old.replaceWith(adopted);
  };

  // Whoever was logged in anew has another word to say in every form, those that do not move too.
  const renewForms = (page) => {
    const csrf = 'input[name="csrf"]';
    const fresh = page.querySelector(csrf);
    if (!fresh) return;
    for (const input of document.querySelectorAll(csrf)) input.value = fresh.value;
  };

  // Takes over what moves; whether all of it was there.
  const take = (page) => {
    renewForms(page);
    const moving = [...page.querySelectorAll("[data-live]")];
    const there = [...document.querySelectorAll("[data-live]")];
    const isWhole = there.every(({ id }) => page.getElementById(id));
    const isMore = moving.some(({ id }) => !document.getElementById(id));
    const main = document.getElementById("main");
    if (isMore && isWhole && !inUse(main)) {
      swap(main, page.getElementById("main"));
      isStale = list() !== null;
      return true;
    }
    for (const fresh of moving) {
      const old = document.getElementById(fresh.id);
      if (old) swap(old, fresh);
    }
    return isWhole;
  };

  let running = false;
  let again = false;
  let wanted = null;
  let last = Date.now();

  const refresh = async () => {
    if (document.hidden) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    last = Date.now();
    [renewing, isStale] = [isStale, false];
    try {
      const response = await fetch(location.href, { credentials: "same-origin", signal: AbortSignal.timeout(ANYWAY_MS) });
      if (response.redirected && new URL(response.url).pathname === base + "/login") {
        say("off", "logged out");
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const isWhole = take(page);
      if (renewing && !renewEvents(page)) isStale = true;
      if (!isWhole) say("slow", "partly old");
      else say(streaming ? "live" : "slow", streaming ? "live" : "every 10 s");
    } catch {
      isStale = isStale || renewing;
      say("off", "no answer");
    } finally {
      running = false;
      renewing = false;
      draw();
      // What moved meanwhile may not be on the page that was taken.
      if (again) {
        again = false;
        last = Date.now();
        soon();
      }
    }
  };

  const soon = () => {
    if (wanted !== null || document.hidden) return;
    const wait = Math.max(0, AT_MOST_MS - (Date.now() - last));
    wanted = setTimeout(() => {
      wanted = null;
      refresh();
    }, wait);
  };

  const word = (value) => (/^[a-z]+$/.test(String(value)) ? String(value) : "");

  const span = (className, text) => {
    const element = document.createElement("span");
    element.className = className;
    element.textContent = text;
    return element;
  };

  // Times of events by the clock of whoever looks.
  const setClocks = (events) => {
    const today = new Date().toDateString();
    for (const time of events.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const isToday = at.toDateString() === today;
      time.textContent = isToday ? at.toTimeString().slice(0, 8) : at.toLocaleDateString("en-CA");
    }
  };

  // Events that are told and not shown yet, and whether the list lacks some before them.
  let told = [];
  let isStale = false;
  let renewing = false;
  const list = () => document.querySelector("[data-events]");

  // What would turn the text around it is shown by its number, as pages have it.
  const straight = (text) =>
    text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (sign) => "\\u{" + sign.charCodeAt(0).toString(16) + "}");

  // Text only: an error holds what strangers wrote.
  const line = ({ parts, when }) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.dateTime = time.title = when || new Date().toISOString();
    item.append(time, ...parts().flatMap((part) => [" ", part]));
    return item;
  };

  // Shows a burst of events at once.
  const draw = () => {
    const events = list();
    if (renewing || !events || told.length === 0) return;
    const lines = events.querySelector("ol");
    lines.prepend(...told.map(line).reverse());
    told = [];
    setClocks(lines);
    while (lines.children.length > MOST_EVENTS) lines.lastElementChild.remove();
    events.querySelector(".empty")?.remove();
  };

  const tell = (name, when, parts) => {
    if (!list()) return;
    if (told.length === 0) requestAnimationFrame(draw);
    told.push({ name, when, parts });
    if (told.length > MOST_EVENTS) told.shift();
  };

  // The list as the page has it now, and whether it has one; what was told since stays, unless the
  // page knows of it.
  const renewEvents = (page) => {
    const old = list();
    const fresh = page.querySelector("[data-events]");
    if (!old || !fresh || inUse(old) || fresh.querySelector("[data-unread]")) return false;
    const known = [...fresh.querySelectorAll("li")].map(
      (item) => item.querySelector("a").textContent + " " + item.querySelector(".badge").textContent,
    );
    told = told.filter(({ name }) => !known.includes(name));
    setClocks(fresh);
    old.replaceWith(document.adoptNode(fresh));
    return true;
  };

  const read = (event) => {
    try {
      return JSON.parse(event.data);
    } catch {
      return null;
    }
  };

  const onJob = (event) => {
    const job = read(event);
    if (!job) return;
    const [name, state] = ["Job " + Number(job.id), word(job.state)];
    tell(name + " " + state, job.at, () => {
      const link = document.createElement("a");
      link.href = base + "/jobs/" + Number(job.id);
      link.textContent = name;
      const parts = [link, span("badge is-" + state, state), span("small", word(job.queue))];
      if (job.error) parts.push(span("why", straight(String(job.error).slice(0, 160))));
      return parts;
    });
    soon();
  };

  const onQueue = (event) => {
    const queue = read(event);
    if (!queue) return;
    const [name, what] = ["queue " + word(queue.queue), word(queue.event)];
    tell(name + " " + what, queue.at, () => [span("small", name), span("badge", what)]);
    soon();
  };

  let source = null;
  let streaming = false;

  const listen = () => {
    if (source || document.hidden || !window.EventSource) return;
    source = new EventSource(base + "/api/v1/events");
    source.addEventListener("open", () => {
      streaming = true;
      say("live", "live");
      // What happened before it opened, nobody tells.
      isStale = list() !== null;
      soon();
    });
    source.addEventListener("job", onJob);
    source.addEventListener("queue", onQueue);
    source.addEventListener("lagged", () => {
      tell("", null, () => [span("small", "some events were missed")]);
      soon();
    });
    source.addEventListener("error", () => {
      streaming = false;
      say("slow", "every 10 s");
      // Closed for good: it is tried again at the next beat.
      if (source && source.readyState === EventSource.CLOSED) source = null;
    });
  };

  const hush = () => {
    if (source) source.close();
    source = null;
    streaming = false;
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      hush();
    } else {
      listen();
      soon();
    }
  });
  // A page that is left lets go of its stream, or the browser's few connections run out.
  window.addEventListener("pagehide", hush);
  window.addEventListener("pageshow", listen);

  setInterval(() => {
    listen();
    refresh();
  }, ANYWAY_MS);
  say("slow", "every 10 s");
  if (list()) setClocks(list());
  listen();
})();
