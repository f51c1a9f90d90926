// Keeps the page fresh: its main part is fetched anew and replaced where it changed.
"use strict";
(() => {
  const every = 2000, patience = 10000;
  const live = document.getElementById("live");
  let good = new Date();
  // say tells in the corner, and by how the page looks, whether what is shown is of now.
  const say = (text, how) => {
    if (live.textContent !== text) live.textContent = text;
    live.className = how;
    document.body.classList.toggle("old", how === "bad");
  };
  // busy: a person types, or has selected something, which must not be taken away.
  const busy = () => document.activeElement.matches("input") || !getSelection().isCollapsed;
  // show puts the fresh part in the place of the old one; the link in focus keeps it.
  const show = (fresh) => {
    const shown = document.querySelector("main");
    if (fresh.innerHTML === shown.innerHTML) return;
    const focus = shown.contains(document.activeElement) && document.activeElement.getAttribute("href");
    shown.replaceWith(document.adoptNode(fresh));
    if (focus) document.querySelector(`main a[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  };
  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(patience) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (!fresh) throw new Error("not a page of lambdamesh");
      good = new Date();
      if (busy()) return say("paused", "");
      show(fresh);
      say("live", "good");
    } catch {
      say("no answer since " + good.toLocaleTimeString(), "bad");
    }
  };
  // Each waits for the one before it: a slow answer is not asked for twice.
  const next = () => setTimeout(async () => {
    if (!document.hidden) await refresh();
    next();
  }, every);
  say("live", "good");
  next();
})();
