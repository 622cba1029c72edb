"use strict";

// Pages are whole without this. It moves their numbers, ticks boxes and asks before it cancels.
(() => {
  const base = document.body.dataset.base;
  const pulse = document.getElementById("pulse");
  const list = document.querySelector("[data-events]");
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

  let running = false;
  let wanted = null;
  let last = Date.now();

  const refresh = async () => {
    if (running || document.hidden) return;
    running = true;
    last = Date.now();
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (response.redirected && new URL(response.url).pathname === base + "/login") {
        say("off", "logged out");
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh) swap(old, fresh);
      }
      say(streaming ? "live" : "slow", streaming ? "live" : "every 10 s");
    } catch {
      say("off", "no answer");
    } finally {
      running = false;
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

  // Text only: an error holds what strangers wrote.
  const tell = (parts, when) => {
    if (!list) return;
    const line = document.createElement("li");
    const time = document.createElement("time");
    const told = new Date(when || Date.now());
    const at = Number.isNaN(told.getTime()) ? new Date() : told;
    time.dateTime = at.toISOString();
    time.textContent = at.toTimeString().slice(0, 8);
    line.append(time);
    for (const part of parts) line.append(" ", part);
    list.prepend(line);
    while (list.children.length > MOST_EVENTS) list.lastElementChild.remove();
    const empty = list.parentElement.querySelector(".empty");
    if (empty) empty.remove();
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
    const link = document.createElement("a");
    link.href = base + "/jobs/" + Number(job.id);
    link.textContent = "Job " + Number(job.id);
    const state = word(job.state);
    const parts = [link, span("badge is-" + state, state), span("small", word(job.queue))];
    if (job.error) parts.push(span("why", String(job.error).slice(0, 160)));
    tell(parts, job.at);
    soon();
  };

  const onQueue = (event) => {
    const queue = read(event);
    if (!queue) return;
    tell([span("small", "queue " + word(queue.queue)), span("badge", word(queue.event))], queue.at);
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
      soon();
    });
    source.addEventListener("job", onJob);
    source.addEventListener("queue", onQueue);
    source.addEventListener("lagged", () => {
      tell([span("small", "some events were missed")]);
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
  listen();
})();
