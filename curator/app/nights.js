// Nights: flag rate, drift and rejects, one night after the other; one that is chosen is shown in the grid.

import { ask } from "./api.js";
import { button, element, plural, table, whole } from "./parts.js";

const HEIGHT = 62; // pixels of a chart
const HEAD = 18; // above it, for what it is
const LEFT = 8; // pixels before the first night, and behind the last
const DOTS = 90; // nights, up to which each has a dot
const APART = 12; // pixels between dates
const MODERATE = 0.1; // of the population stability index, by the usual rule; large from LARGE
const LARGE = 0.25;

const percent = (share) => (share === null ? "none" : `${(100 * share).toFixed(1)} %`);
const index = (value) => (value === null ? "none" : value.toFixed(3));

function drawn(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Places of a line with gaps where there is no value: one path.
function path(values, x, y) {
  let isDrawn = false;
  const parts = values.map((value, at) => {
    const part = value === null ? "" : `${isDrawn ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    isDrawn = value !== null;
    return part;
  });
  return parts.join("");
}

export class View {
  nights = [];
  active = 0;
  skip = 0;

  constructor(root, { complain, showNight }) {
    Object.assign(this, { root, complain, showNight });
    this.head = element("p");
    this.chart = element("div");
    this.chart.id = "history";
    for (const [name, value] of [["role", "slider"], ["tabindex", "0"], ["aria-label", "Night: Enter shows its images"], ["aria-valuemin", "1"]]) this.chart.setAttribute(name, value);
    this.said = element("p");
    this.rows = element("details");
    this.pages = element("p");
    this.older = this.page("Older nights", 1);
    this.newer = this.page("Newer nights", -1);
    this.pages.append(this.older, " ", this.newer);
    this.rows.addEventListener("toggle", () => this.tabulate());
    this.chart.addEventListener("pointermove", (event) => this.go(this.at(event)));
    this.chart.addEventListener("click", (event) => {
      this.go(this.at(event));
      this.choose(this.nights[this.active]);
    });
    this.chart.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.chart);
    root.append(this.head, this.chart, this.said, this.pages, this.rows);
  }

  page(text, by) {
    return button(text, () => this.show(this.skip + by * this.most).catch((fault) => this.complain(fault.message)));
  }

  async show(skip = this.skip) {
    const before = this.nights[this.active]?.run;
    const found = await ask("nights", { skip: Math.max(0, skip) });
    Object.assign(this, { nights: found.nights, skip: found.skip, most: found.most });
    const place = found.nights.findIndex((night) => night.run === before);
    this.active = place < 0 ? found.nights.length - 1 : place;
    const part = found.nights.length < found.all ? `${whole(found.nights.length)} of ` : "";
    this.head.textContent = `${part}${plural(found.all, "night")} that read something, by what rules and of the images that are in the lake now. Drift is against ${found.baseline || "no night"}.`;
    this.older.disabled = this.skip + this.nights.length >= found.all;
    this.newer.disabled = this.skip === 0;
    this.pages.hidden = found.all <= found.most;
    this.chart.setAttribute("aria-valuemax", found.nights.length);
    this.draw();
    this.tabulate();
  }

  // The nights as rows, made when they are looked at.
  tabulate() {
    const title = element("summary", "As a table");
    if (!this.rows.open) return this.rows.replaceChildren(title);
    const lines = this.nights.toReversed().map((night) => [this.button(night), whole(night.images), whole(night.flagged), percent(night.rate),
      night.rate === null ? "none" : `${percent(night.low)} to ${percent(night.high)}`, index(night.drift), index(night.by_chance), whole(night.read), whole(night.rejects), percent(night.reject_rate)]);
    return this.rows.replaceChildren(title, table(["night", "images", "flagged", "flag rate", "95 % interval", "drift (PSI)", "PSI by chance", "read", "rejects", "reject rate"], lines, "No scan has read anything yet."));
  }

  button(night) {
    const made = button(night.night, () => this.choose(night), `Show the images of ${night.night}, ${night.run}`);
    made.title = night.run;
    return made;
  }

  choose(night) {
    if (!night) return;
    if (night.images) this.showNight(night.run);
    else this.complain(`Of the night ${night.night} no image is in the lake; ${whole(night.rejects)} rejects are in report.rejects`);
  }

  get step() {
    return (this.chart.clientWidth - 2 * LEFT) / Math.max(this.nights.length, 1);
  }

  at(event) {
    return Math.floor((event.clientX - this.chart.getBoundingClientRect().left - LEFT) / this.step);
  }

  key(event) {
    const last = this.nights.length - 1;
    const to = { ArrowLeft: this.active - 1, ArrowDown: this.active - 1, ArrowRight: this.active + 1, ArrowUp: this.active + 1,
      PageDown: this.active - 10, PageUp: this.active + 10, Home: 0, End: last }[event.key];
    if (event.key === "Enter" || event.key === " ") this.choose(this.nights[this.active]);
    else if (to === undefined) return;
    else this.go(to);
    event.preventDefault();
    event.stopPropagation();
  }

  go(to) {
    if (!this.nights.length) return;
    this.active = Math.min(Math.max(to, 0), this.nights.length - 1);
    this.mark();
  }

  // Which night is meant, and what it was like.
  mark() {
    const night = this.nights[this.active];
    if (!night) return;
    const drift = night.drift === null ? "no drift to measure" : `drift ${index(night.drift)}, ${night.drift < MODERATE ? "small" : night.drift < LARGE ? "moderate" : "large"}, by chance ${index(night.by_chance)}`;
    const text = `${night.night}: ${whole(night.flagged)} of ${whole(night.images)} images flagged (${percent(night.rate)}); ${drift}; ${whole(night.rejects)} of ${whole(night.read)} read were rejects`;
    this.said.textContent = text;
    this.chart.setAttribute("aria-valuenow", this.active + 1);
    this.chart.setAttribute("aria-valuetext", text);
    const x = LEFT + (this.active + 0.5) * this.step;
    for (const name of ["x1", "x2"]) this.marker?.setAttribute(name, x);
  }

  draw() {
    const width = this.chart.clientWidth;
    if (!width || !this.nights.length) return;
    const of = (name) => this.nights.map((night) => night[name]);
    const series = [
      { title: "Flag rate, with its 95 % interval", short: "Flag rate", values: of("rate"), low: of("low"), high: of("high"), said: percent },
      { title: "Drift of the scores: population stability index", short: "Drift (PSI)", values: of("drift"), said: index, limit: LARGE },
      { title: "Rejects, of what was read", short: "Rejects", values: of("reject_rate"), said: percent },
    ];
    const block = HEAD + HEIGHT + 8;
    const height = series.length * block + HEAD;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    this.chart.replaceChildren(svg); // texts have a width in the page only
    series.forEach((one, place) => this.drawOne(svg, one, place * block + HEAD, width));
    this.drawDates(svg, width, height - 4);
    this.marker = drawn("line", { class: "active", y1: HEAD, y2: height - HEAD });
    svg.append(this.marker);
    this.mark();
  }

  drawOne(svg, { title, short, values, low, high, said, limit }, top, width) {
    const most = Math.max(...(high ?? values).map((value) => value ?? 0), 0.001);
    const x = (at) => LEFT + (at + 0.5) * this.step;
    const y = (value) => top + HEIGHT * (1 - value / most);
    const caption = drawn("text", { x: LEFT, y: top - 5 }, `${title}; up to ${said(most)}`);
    svg.append(caption);
    if (caption.getComputedTextLength() > width - 2 * LEFT) caption.textContent = `${short}; up to ${said(most)}`;
    for (const line of [top, top + HEIGHT]) svg.append(drawn("line", { class: "grid", x1: LEFT, x2: width - LEFT, y1: line, y2: line }));
    if (low) {
      // One band for each stretch of nights that have images.
      let stretch = [];
      const flush = () => {
        if (stretch.length > 1) svg.append(drawn("path", { class: "band", d: `M${[...stretch.map((at) => [x(at), y(high[at])]), ...stretch.toReversed().map((at) => [x(at), y(low[at])])].map((point) => point.map((one) => one.toFixed(1)).join(" ")).join("L")}Z` }));
        else for (const at of stretch) svg.append(drawn("rect", { class: "band", x: x(at) - 2, y: y(high[at]), width: 4, height: y(low[at]) - y(high[at]) }));
        stretch = [];
      };
      values.forEach((value, at) => (value === null ? flush() : stretch.push(at)));
      flush();
    }
    if (limit && limit < most) svg.append(drawn("line", { class: "limit", x1: LEFT, x2: width - LEFT, y1: y(limit), y2: y(limit) }));
    svg.append(drawn("path", { class: "line", d: path(values, x, y) }));
    if (values.length <= DOTS) values.forEach((value, at) => value !== null && svg.append(drawn("circle", { class: "dot", cx: x(at), cy: y(value), r: 3 })));
  }

  // As many dates as there is place for the longest.
  drawDates(svg, width, bottom) {
    const longest = this.nights.reduce((found, { night }) => (night.length > found.length ? night : found), "");
    const tried = drawn("text", {}, longest);
    svg.append(tried);
    const date = tried.getComputedTextLength() + APART;
    tried.remove();
    const count = Math.max(1, Math.min(this.nights.length, Math.floor((width - 2 * LEFT) / date)));
    const every = Math.ceil(this.nights.length / count);
    for (let at = 0; at < this.nights.length; at += every) {
      const x = LEFT + (at + 0.5) * this.step;
      svg.append(drawn("text", { x: Math.min(Math.max(x, date / 2), width - date / 2), y: bottom, "text-anchor": "middle" }, this.nights[at].night));
    }
  }
}
