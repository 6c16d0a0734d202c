"use strict";
const sorted = (rows, column, up) => {
  const keyed = rows.map(row => [row.cells[column].textContent.trim(), row]);
  const numeric = keyed.every(([text]) => text === "" || !isNaN(text));
  const compare = numeric ? (a, b) => a - b : new Intl.Collator().compare;
  return keyed.sort(([a], [b]) => a === "" || b === "" ? (a === "") - (b === "") : (up ? 1 : -1) * compare(a, b));
};
for (const table of document.querySelectorAll("table")) {
  if (!table.tHead) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      table.tBodies[0].append(...sorted([...table.tBodies[0].rows], column, up).map(([, row]) => row));
    });
  });
}
const box = document.createElement("input");
box.type = "search";
box.placeholder = "find labels";
box.setAttribute("aria-label", "find labels");
box.addEventListener("input", () => {
  const wanted = box.value.toLowerCase();
  for (const part of document.querySelectorAll("details.labels")) {
    let found = 0;
    for (const row of part.querySelectorAll("tbody tr")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      found += !row.hidden;
    }
    part.open = found > 0 && (wanted !== "" || part.dataset.open !== undefined);
  }
});
document.getElementById("negatives").after(box);
