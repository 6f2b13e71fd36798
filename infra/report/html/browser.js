"use strict";
// Filters the examples. Data: rows of [source, difficulty, chosen mode, tags, prompt, facts, P(think), sides] and, if the
// problem has one, its task; the first of them are on the page already. A side is [mode, verdict, detail, text]. The filter
// stands in the address behind `#`, as in #source=tiny-hard&mode=short, so that a link shows what its sender saw.
(() => {
  const PAGE = 12, LONG = 1200; // a longer text is closed at first, as on the page
  const byId = (id) => document.getElementById(id);
  const form = byId("filters"), list = byId("example-list"), status = byId("filter-status"), more = byId("more-examples");
  const rows = JSON.parse(byId("example-data").textContent);
  const card = list.querySelector("article");
  const first = [...list.children];
  const names = ["source", "task", "difficulty", "mode", "verdict", "text"].filter((name) => form.elements[name]);
  const searched = rows.map((row) => [row[4], row[5], ...row[7].map((side) => side[3])].join("\n").toLowerCase());
  let found = [], visible = 0;

  const filters = () => Object.fromEntries(names.map((name) => [name, form.elements[name].value.trim()]));

  function matches(row, index, wanted) {
    return (!wanted.source || row[0] === wanted.source)
      && (!wanted.task || row[8] === wanted.task)
      && (!wanted.difficulty || String(row[1]) === wanted.difficulty)
      && (!wanted.mode || row[2] === wanted.mode)
      && (!wanted.verdict || row[3].split(" ").includes(wanted.verdict))
      && (!wanted.text || searched[index].includes(wanted.text.toLowerCase()));
  }

  function build(row) {
    const article = card.cloneNode(true);
    const slot = (name) => article.querySelector(`[data-slot="${name}"]`);
    slot("prompt").textContent = row[4];
    slot("facts").textContent = row[5];
    slot("meter").hidden = row[6] === null;
    slot("meter").firstElementChild.style.width = `${100 * (row[6] ?? 0)}%`;
    const sides = article.querySelector("ul"), pattern = sides.firstElementChild;
    sides.replaceChildren(...row[7].map(([mode, verdict, detail, text]) => {
      const side = pattern.cloneNode(true);
      const [label, tone, note] = side.querySelector("p").children;
      label.className = label.textContent = mode;
      tone.className = `tone ${{ right: "good", wrong: "bad" }[verdict] ?? "unknown"}`;
      tone.textContent = ({ right: "✓ ", wrong: "✗ " }[verdict] ?? "") + verdict;
      note.textContent = detail;
      const long = text.length > LONG, body = side.querySelector("details"), summary = body.firstElementChild;
      body.open = !long;
      summary.hidden = !long;
      summary.textContent = `${text.slice(0, 200)} … open all ${text.length.toLocaleString("en")} characters`;
      side.querySelector("pre").textContent = text;
      return side;
    }));
    return article;
  }

  function extend(upTo) {
    for (; visible < Math.min(upTo, found.length); visible += 1) {
      const index = found[visible];
      list.append(index < first.length ? first[index] : build(rows[index]));
    }
    const noun = found.length === 1 ? "example" : "examples";
    status.textContent = found.length === 0
      ? "No example fits; clear a filter."
      : `${found.length.toLocaleString("en")} ${noun}, ${visible.toLocaleString("en")} shown.`;
    more.hidden = visible >= found.length;
  }

  function apply() {
    const wanted = filters();
    found = [...rows.keys()].filter((index) => matches(rows[index], index, wanted));
    list.replaceChildren();
    visible = 0;
    extend(names.some((name) => wanted[name]) ? PAGE : Math.max(first.length, PAGE));
    return wanted;
  }

  function remember(wanted) {
    const set = new URLSearchParams(names.filter((name) => wanted[name]).map((name) => [name, wanted[name]]));
    try {
      history.replaceState(null, "", `#${String(set) || "examples"}`);
    } catch { /* a page inside another one may not change its address; the filter works all the same */ }
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!names.some((name) => given.has(name))) return;
    for (const name of names) form.elements[name].value = given.get(name) ?? "";
    apply();
    byId("examples").scrollIntoView({ behavior: "instant" });
  }

  form.addEventListener("input", () => remember(apply()));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => remember(apply())));
  more.addEventListener("click", () => {
    const before = visible;
    extend(visible + PAGE);
    const next = list.children[before]?.querySelector("pre");
    next?.focus({ preventScroll: true });
  });
  addEventListener("hashchange", readAddress);
  form.hidden = false;
  apply();
  readAddress();
})();
