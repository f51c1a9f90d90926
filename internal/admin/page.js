// Keeps the page fresh: its main part is fetched anew and replaced where it changed.
"use strict";
(() => {
  const every = 2000, patience = 10000;
  const live = document.getElementById("live");
  let good = new Date();
  // say tells in the corner, and by how the page looks, whether what is shown is of now.
  const say = (fresh) => {
    if (fresh) good = new Date();
    const text = fresh ? "live" : "no answer since " + good.toLocaleTimeString();
    if (live.textContent !== text) live.textContent = text;
    live.className = fresh ? "good" : "bad";
    document.body.classList.toggle("old", !fresh);
  };
  // busy: a person types, or has selected something, which must not be taken away.
  const busy = () => document.activeElement?.matches("input") || !getSelection().isCollapsed;
  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(patience) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main"), shown = document.querySelector("main");
      if (!fresh) throw new Error("not a page of lambdamesh");
      if (busy()) return;
      if (fresh.innerHTML !== shown.innerHTML) shown.replaceWith(document.adoptNode(fresh));
      say(true);
    } catch {
      say(false);
    }
  };
  // Each waits for the one before it: a slow answer is not asked for twice.
  const next = () => setTimeout(async () => {
    if (!document.hidden) await refresh();
    next();
  }, every);
  say(true);
  next();
})();
