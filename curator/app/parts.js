// Small parts of pages: elements with text, and tables. What is shown comes in as text, never as markup.

export const whole = (number) => Math.round(number).toLocaleString("en");
export const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
export const short = (value) => (typeof value === "number" ? value.toPrecision(3) : value ?? "none");

export function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// name: for who does not see it, where the text says too little.
export function button(text, act, name) {
  const made = element("button", text);
  made.type = "button";
  if (name) made.setAttribute("aria-label", name);
  made.addEventListener("click", act);
  return made;
}

export function table(headings, rows, empty) {
  if (!rows.length) return element("p", empty);
  const made = element("table");
  const head = element("tr");
  head.append(...headings.map((text) => Object.assign(element("th", text), { scope: "col" })));
  made.append(head);
  for (const row of rows) {
    const line = element("tr");
    for (const value of row) {
      const cell = element("td");
      if (value instanceof Node) cell.append(value);
      else cell.textContent = short(value);
      line.append(cell);
    }
    made.append(line);
  }
  const scrolled = element("div", undefined, "wide");
  scrolled.append(made);
  return scrolled;
}
