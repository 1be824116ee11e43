// Times in the viewer's zone, a key for the search box, and what is to be seen when a live part is cut off. All pages are complete
// without it.
(() => {
  const written = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    fractionalSecondDigits: 3, hour12: false,
  });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  function localise(root) {
    for (const time of root.querySelectorAll("time[datetime]:not(.ago)")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const text = written.format(at);
      if (time.textContent !== text) time.textContent = text;
      time.dataset.zone = zone;
    }
  }

  localise(document);
  document.addEventListener("htmx:after:swap", () => localise(document));

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || field || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.getElementById("q");
    if (!search) return;
    event.preventDefault();
    search.focus();
  });

  function live(part, is_live) {
    part.classList.toggle("stale", !is_live);
    part.setAttribute("aria-busy", String(!is_live));
  }
  document.addEventListener("htmx:sse:after:connection", (event) => live(event.target, true));
  document.addEventListener("htmx:sse:close", (event) => live(event.target, false));
  function broken(part, status) {
    live(part, false);
    // The session is over: the page leads to signing in.
    if (status === 401) location.reload();
  }
  document.addEventListener("htmx:sse:error", (event) => broken(event.target, event.detail.status));
  document.addEventListener("htmx:response:error", (event) =>
    broken(event.target, event.detail.ctx?.response?.status));
})();
