// The threshold: what another cut would flag, while it is dragged; nothing is changed until it is saved as a policy.

import { ask } from "./api.js";
import { whole } from "./parts.js";

const BINS = 120;
const OUTSIDE = 0.002; // share of the images at either end that the picture leaves out
const STEPS = 200; // of the keyboard, over the width

const find = (id) => document.getElementById(id);

// How many of sorted values are below a cut.
function below(sorted, cut) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < cut) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class Threshold {
  isTried = false; // a cut that somebody chose; else it is the one that rules, whichever that comes to be

  constructor(images, { changed, complain }) {
    Object.assign(this, { images, changed, complain });
    this.canvas = find("histogram");
    this.slider = find("cut");
    this.reference = new Float64Array();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.slider.addEventListener("pointerdown", (event) => {
      this.slider.setPointerCapture(event.pointerId);
      this.drag(event);
    });
    this.slider.addEventListener("pointermove", (event) => event.buttons & 1 && this.drag(event));
    this.slider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
      const to = { Home: this.low, End: this.high }[event.key] ?? (step && this.cut + (step * (this.high - this.low)) / STEPS);
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.move(to);
    });
    find("cut-reset").addEventListener("click", () => this.put(this.ruling));
    find("cut-save").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  get open() {
    return !find("threshold").hidden;
  }

  // What a snapshot says: the reference, and the cut that rules.
  load({ reference, cut, note }) {
    this.reference = reference;
    this.ruling = cut;
    this.note = note;
    const { images } = this;
    const present = (test) => Float64Array.from(images.logOdds.filter((value, number) => !Number.isNaN(value) && test(number))).sort();
    this.all = present(() => true);
    this.tonight = present((number) => images.newest[number] === 1);
    this.low = this.all[Math.floor(this.all.length * OUTSIDE)] ?? -1;
    this.high = this.all[Math.ceil((this.all.length - 1) * (1 - OUTSIDE))] ?? 1;
    if (reference.length) this.high = Math.max(this.high, reference[Math.ceil((reference.length - 1) * (1 - OUTSIDE))]);
    if (!this.isTried) this.cut = cut; // what is being tried stays
    find("cut-save").hidden = !reference.length;
    this.judgeReviewed();
    this.show();
  }

  judgeReviewed() {
    const of = (code) => this.images.logOdds.filter((value, number) => this.images.decision[number] === code && !Number.isNaN(value)).sort();
    this.reviewed = { id: of(1), ood: of(2) };
  }

  drag(event) {
    const box = this.canvas.getBoundingClientRect();
    this.move(this.low + ((event.clientX - box.left) / box.width) * (this.high - this.low));
  }

  move(cut) {
    this.put(Math.min(Math.max(cut, this.low), this.high));
  }

  // Another cut: counts, picture and grid follow in one frame.
  put(cut) {
    this.cut = cut;
    this.isTried = cut !== this.ruling;
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.show();
      this.changed();
    });
  }

  get trial() {
    return this.open && this.cut !== this.ruling ? this.cut : null;
  }

  show() {
    const { cut, reference, reviewed } = this;
    const lines = [`Cut ${cut.toPrecision(4)}${cut === this.ruling ? ", as it rules" : `; ${this.ruling.toPrecision(4)} rules`}`];
    const flagged = below(this.all, cut);
    lines.push(`${whole(flagged)} of ${whole(this.all.length)} flagged (${((100 * flagged) / Math.max(this.all.length, 1)).toFixed(1)} %), tonight ${whole(below(this.tonight, cut))} of ${whole(this.tonight.length)}`);
    if (reference.length) {
      const rank = below(reference, cut);
      const share = (1 + rank) / (reference.length + 1);
      lines.push(`${whole(rank)} of ${whole(reference.length)} reference images flagged: of tonight's at most ${whole(share * this.tonight.length)} false flags to expect`);
    } else lines.push("no reference: calibrate with one, and false flags can be foretold");
    if (reviewed.id.length + reviewed.ood.length) {
      lines.push(`decided: ${whole(below(reviewed.id, cut))} of ${whole(reviewed.id.length)} ID flagged, ${whole(below(reviewed.ood, cut))} of ${whole(reviewed.ood.length)} OOD flagged`);
    }
    if (this.note) lines.push(this.note);
    find("cut-counts").replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    this.slider.setAttribute("aria-valuemin", this.low);
    this.slider.setAttribute("aria-valuemax", this.high);
    this.slider.setAttribute("aria-valuenow", cut);
    this.slider.setAttribute("aria-valuetext", `${cut.toPrecision(3)}, ${whole(flagged)} flagged`);
    this.draw();
  }

  draw() {
    const { canvas } = this;
    if (!this.open || !this.all || !canvas.clientWidth) return;
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    Object.assign(canvas, { width: width * scale, height: height * scale });
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
    const at = (value) => ((value - this.low) / (this.high - this.low)) * width;
    const bins = (values) => {
      const found = new Float64Array(BINS);
      let before = below(values, this.low);
      for (let bin = 0; bin < BINS; bin += 1) {
        const until = below(values, this.low + ((bin + 1) / BINS) * (this.high - this.low));
        found[bin] = (until - before) / Math.max(values.length, 1);
        before = until;
      }
      return found;
    };
    const drawn = [[this.all, "--line", true], [this.tonight, "--accent", false], [this.reference, "--id", false],
      [this.reviewed.id, "--id", true], [this.reviewed.ood, "--ood", true]];
    drawn.forEach(([values, name, filled], which) => {
      const heights = bins(values);
      const most = Math.max(...heights) || 1;
      const share = which > 2 ? 0.25 : 0.95; // what was decided lies low, before the others
      pen.beginPath();
      pen.moveTo(0, height);
      heights.forEach((one, bin) => {
        const y = height - (one / most) * height * share;
        pen.lineTo((bin / BINS) * width, y);
        pen.lineTo(((bin + 1) / BINS) * width, y);
      });
      pen.lineTo(width, height);
      pen.globalAlpha = filled ? 0.5 : 1;
      pen.fillStyle = pen.strokeStyle = colour(name);
      if (filled) pen.fill();
      else pen.stroke();
    });
    pen.globalAlpha = 1;
    this.slider.style.left = `${canvas.offsetLeft + Math.min(Math.max(at(this.cut), 0), width)}px`;
  }

  async save() {
    const name = find("cut-name").value.trim() || null;
    this.complain("Saving the policy …");
    try {
      const said = await ask("policy", { cut: this.cut, name });
      this.cut = said.cut; // until the snapshot has it
      this.isTried = !said.rules;
      this.complain(`Policy ${said.policy} is saved: cut ${said.cut.toPrecision(4)}, keeps ${(100 * said.kept).toFixed(2)} % of the reference${said.rules ? ", and rules now" : ""}. ${said.warning ?? ""}`);
    } catch (fault) {
      this.complain(`Not saved as a policy: ${fault.message}`);
    }
  }
}
