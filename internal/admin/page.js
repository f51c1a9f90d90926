// Keeps the page fresh: its main part is fetched anew and replaced where it changed.
"use strict";
(() => {
  const every = 2000;
  const live = document.getElementById("live");
  const say = (text) => { if (live.textContent !== text) live.textContent = text; };
  const typing = () => document.activeElement && document.activeElement.matches("input");
  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      const shown = document.querySelector("main");
      if (fresh && !typing() && fresh.innerHTML !== shown.innerHTML) shown.replaceWith(document.adoptNode(fresh));
      say("live");
    } catch {
      say("lambdamesh does not answer");
    }
  };
  say("live");
  setInterval(() => { if (!document.hidden) refresh(); }, every);
})();
