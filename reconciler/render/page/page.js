(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const form = at("filter");
  if (!form) return; // nothing to filter
  const text = at("text"), shown = at("shown");
  const rows = [...document.querySelectorAll(".row")].map((row) => ({ row, told: "" }));
  const folds = [...document.querySelectorAll(".group, .fold > details")].reverse(); // a fold before its group
  let before = null; // which folds were open before a text opened those that hold it
  let timer = 0;

  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    const sets = [...form.querySelectorAll("fieldset")].map((one) => [
      one.dataset.filter,
      new Set([...one.querySelectorAll(":checked")].map((box) => box.value)),
    ]);
    let count = 0;
    for (const one of rows) {
      if (wanted && !one.told) one.told = one.row.textContent.toLowerCase();
      const passes = sets.every(([name, set]) => !one.row.dataset[name] || set.has(one.row.dataset[name]));
      one.row.hidden = !(passes && one.told.includes(wanted));
      count += !one.row.hidden;
    }
    if (wanted && !before) before = folds.map((one) => one.open);
    folds.forEach((one, number) => {
      const empty = !one.querySelector(".row:not([hidden])");
      (one.closest(".fold") || one).hidden = empty;
      if (wanted) one.open = !empty;
      else if (before) one.open = before[number];
    });
    if (!wanted) before = null;
    shown.textContent = count + " of " + rows.length + " rows shown";
  };
  const all = (open) => () => {
    before = null;
    for (const one of folds) one.open = open;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 150);
  });
  at("open").addEventListener("click", all(true));
  at("close").addEventListener("click", all(false));
  form.hidden = false;
  filter();
})();
